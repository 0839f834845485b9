"""Labels scored: an actor's current answers beside the labels of a dataset, counted in SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow.compute as pc

from lakehouse.evaluation.bootstrap import Weigh
from lakehouse.evaluation.label_rows import LabelRows
from lakehouse.evaluation.merged import merged_then
from lakehouse.evaluation.metric import Metric
from lakehouse.evaluation.slices import MEASURED, slice_columns, slice_label
from lakehouse.lake import Lake
from lakehouse.query import fetch, query

SCORED = """
with answers as (
    select subject_id, question_version, label, probs, row_number() over (
        partition by subject_id order by event_time desc nulls last, opinion_id desc
    ) as recency
    from current_opinions
    where actor_id = $actor_id and question_id = $question_id and op = 'assert' and value_kind = 'label'
), predicted as (
    select a.subject_id, coalesce(m.stands_for, a.label) as label, a.probs
    from answers a left join merged m on m.question_id = $question_id and m.question_version = a.question_version
        and m.label_id = a.label
    where a.recency = 1
)
select m.entity_id, m.label as truth, p.label as answer,
    p.probs is not null as has_probs, p.probs[m.label] as p_truth, p.probs, {slices}
from gold.dataset_members m
left join predicted p on p.subject_id = m.entity_id
{wide}
where m.dataset_id = $dataset_id and m.split = $split and m.label is not null
    and m.operation is distinct from 'variant'
"""
"""One row per labelled member of the split; one without a prediction counts as wrong, not as missing.

Of an actor who answered in several slots the newest answer counts. A label that was merged when the dataset was built
says the one that stands for it; shares of probability stay those of the labels that were said.
"""

# Losses are added as whole nano-nats: a sum of doubles would depend on the order of the rows.
BY_SLICE = """
select {name} as slice, count(*) as support, count(answer) as answered,
    count(*) filter (where answer = truth) as hits, count(*) filter (where has_probs) as with_probs,
    cast(sum(cast(round(-ln(greatest(coalesce(p_truth, 0), 1e-15)) * 1000000000) as bigint)) as bigint) as nano_nats
from scored group by {name}
"""

BY_CLASS = """
with classes as (select truth as label from scored union select answer from scored where answer is not null)
select c.label,
    count(*) filter (where s.truth = c.label) as support,
    count(*) filter (where s.answer = c.label) as answered,
    count(*) filter (where s.truth = c.label and s.answer = c.label) as hits
from classes c cross join scored s group by c.label
"""


ROWS = "select truth, answer, has_probs, p_truth, probs, {names} from scored order by entity_id"


def measure_labels(
    lake: Lake, run: Mapping[str, object], slices: Sequence[str], *, resampled: bool = False
) -> tuple[list[Metric], dict[str, tuple[Weigh, int]]]:
    """Return accuracy, coverage and log loss over all and by slice; precision, recall and F1 by class, and means.

    Where answers have probabilities, also `brier` and `ece` (see `LabelRows`) over all and by slice.

    Args:
        lake: The lake.
        run: Dataset, actor, question and split.
        slices: What numbers are broken down by.
        resampled: Whether numbers will be resampled: then the evidence is there too.

    Returns:
        The numbers, and the evidence, see `lakehouse.evaluation.bootstrap.Evidence`.
    """
    columns = slice_columns(slices)
    text = SCORED.format(
        slices=", ".join(f"{sql} as {name}" for name, sql in columns.items()),
        wide=MEASURED if slices else "",
    )
    merged = merged_then(lake, str(run["dataset_id"]))
    scored = lake.engine.stage(query(lake, text, params=run, inputs={"merged": merged}))
    metrics: list[Metric] = []
    for name, sliced in zip(columns, ["", *slices], strict=True):
        found = fetch(lake, BY_SLICE.format(name=name), inputs={"scored": scored})
        for row in sorted(found, key=lambda each: str(each["slice"])):
            where = slice_label(sliced, row["slice"])
            metrics.append(Metric("accuracy", where, _share(row["hits"], row["support"]), row["support"]))
            metrics.append(Metric("coverage", where, _share(row["answered"], row["support"]), row["support"]))
            loss = row["nano_nats"] / row["support"] / 1e9 if row["with_probs"] else None
            metrics.append(Metric("log_loss", where, loss, row["support"]))
    evidence: dict[str, tuple[Weigh, int]] = {}
    if resampled or any(each.metric == "log_loss" and each.value is not None for each in metrics):
        names = ", ".join(columns)
        rows = lake.engine.arrow(query(lake, ROWS.format(names=names), inputs={"scored": scored}))
        for name, sliced in zip(columns, ["", *slices], strict=True):
            for value in sorted(map(str, pc.unique(rows[name]).to_pylist())):
                there = LabelRows(rows.filter(pc.equal(rows[name], value)))
                size, where = int(pc.sum(pc.equal(rows[name], value)).as_py()), slice_label(sliced, value)
                evidence[where] = there, size
                if there.has_probs:
                    calibrated = (each for each in there(np.ones(size, np.int64)) if each.metric in ("brier", "ece"))
                    metrics += [Metric(each.metric, where, each.value, each.support) for each in calibrated]
    return metrics + _by_class(fetch(lake, BY_CLASS, inputs={"scored": scored})), evidence


def _by_class(found: Sequence[Mapping[str, Any]]) -> list[Metric]:
    metrics: list[Metric] = []
    for row in sorted(found, key=lambda each: str(each["label"])):
        where, support = f"class={row['label']}", row["support"]
        metrics.append(Metric("precision", where, _share(row["hits"], row["answered"]), support))
        metrics.append(Metric("recall", where, _share(row["hits"], support), support))
        metrics.append(Metric("f1", where, _share(2 * row["hits"], row["answered"] + support), support))
    for name in ("precision", "recall", "f1"):
        # A class without answers has no precision: it counts 0 in the mean, as scikit-learn's default does.
        values = [metric.value or 0.0 for metric in metrics if metric.metric == name and metric.support > 0]
        if values:
            metrics.append(Metric(f"macro_{name}", "all", sum(values) / len(values), sum(r["support"] for r in found)))
    return metrics


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
