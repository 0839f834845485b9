"""Precision over recall of an evaluation, by class: of labels with probabilities, and of boxes with scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lakehouse.datasets.policies.box_scores import SHAPE
from lakehouse.datasets.policies.detection import ranked_objects
from lakehouse.datasets.versions.find import find_dataset
from lakehouse.evaluation.answers import scored_members
from lakehouse.lake import Lake
from lakehouse.query import fetch

Row = dict[str, Any]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

POINTS = 200
"""Of one curve, at most: the first, the last, and as many between them."""
CLASSES = 50
"""Classes that have a curve: those with the most members."""

# By what holds now, as the confusion beside it.
LABELLED = """
select m.label as truth, o.probs from gold.dataset_members m left join (
    select subject_id, probs, row_number() over (
        partition by subject_id order by event_time desc nulls last, opinion_id desc
    ) as recency
    from current_opinions
    where actor_id = $actor_id and question_id = $question_id and op = 'assert' and value_kind = 'label'
) o on o.subject_id = m.entity_id and o.recency = 1
where m.dataset_id = $dataset_id and m.split = $split and m.label is not null
    and m.operation is distinct from 'variant'
"""


def curves_of(lake: Lake, run: Mapping[str, str]) -> list[Row]:
    """Return a curve for each class of which there is anything to be found.

    Of labels the score of a member for a class is the probability that was said of it; one without any has 0. Of boxes
    a prediction is right as COCO counts it at an overlap of 0.5.

    Args:
        lake: The lake.
        run: dataset_id, actor_id, question_id, split.

    Returns:
        `label`, `support` (members or objects to be found), `area` (mean precision over the steps of recall: what
        scikit-learn calls average_precision_score), `points`: [recall, precision, score] by falling score, at most
        `POINTS`. Empty where no answer has a score, or answers are of another kind.
    """
    kind = find_dataset(lake, run["dataset_id"]).answers
    if kind is not None and kind.name == "boxes":
        members = scored_members(lake, run, kind)
        if not any(box.get("score") is not None for each in members for box in each.answer or ()):
            return []
        ranked = ranked_objects(members, SHAPE)
    elif kind is None or kind.value_kind == "label" or kind.one_label:
        ranked = _ranked_labels(fetch(lake, LABELLED, params=dict(run)))
    else:
        return []
    curves = [curve(label, *each) for label, each in ranked.items() if each[2]]
    return sorted(curves, key=lambda each: (-each["support"], each["label"]))[:CLASSES]


def _ranked_labels(rows: Sequence[Mapping[str, Any]]) -> dict[str, tuple[Floats, Flags, int]]:
    said = [dict(row["probs"] or ()) for row in rows]
    if not any(said):
        return {}
    truth = np.array([str(row["truth"]) for row in rows])
    ranked = {}
    for label in sorted(set(truth.tolist())):
        scores = np.array([float(each.get(label) or 0.0) for each in said])
        order = np.argsort(-scores, kind="stable")
        ranked[label] = scores[order], truth[order] == label, int((truth == label).sum())
    return ranked


def curve(label: str, scores: Floats, is_right: Flags, wanted: int) -> Row:
    """Return one curve of `curves_of`, from predictions by falling score, which are right, and what is to be found."""
    # Equal scores are one step: no threshold tells them apart.
    ends = np.flatnonzero(np.append(np.diff(scores) != 0, True)) if scores.size else np.zeros(0, np.int64)
    hits = np.cumsum(is_right)[ends] if scores.size else np.zeros(0)
    precision, recall = hits / (ends + 1), hits / wanted
    area = float(np.sum(np.diff(recall, prepend=0.0) * precision))
    kept = np.unique(np.linspace(0, len(ends) - 1, min(POINTS, len(ends))).round().astype(int)) if len(ends) else ends
    points = (
        np.stack([recall[kept], precision[kept], scores[ends][kept]], axis=1).round(5).tolist() if len(ends) else []
    )
    return {"label": label, "support": wanted, "area": area, "points": points}
