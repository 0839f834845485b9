"""evaluate: a model's predictions against a dataset's answers -> gold.evaluations, with a verdict."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from lakehouse.datasets.policies.kind import AnswerKind
from lakehouse.datasets.policies.label import LABEL
from lakehouse.datasets.versions.counts import check_members
from lakehouse.datasets.versions.find import DatasetVersion, find_dataset
from lakehouse.errors import ConfigError
from lakehouse.evaluation.answers import measure_answers
from lakehouse.evaluation.bootstrap import Weigh
from lakehouse.evaluation.gates import GAIN, Gate, check_computed, check_values
from lakehouse.evaluation.judging import gains, judged, told_gain
from lakehouse.evaluation.labels import measure_labels
from lakehouse.evaluation.metric import Metric
from lakehouse.evaluation.slices import check_request
from lakehouse.lake import Lake
from lakehouse.names import nearest
from lakehouse.query import fetch
from lakehouse.steps.receipts import Receipt
from lakehouse.steps.step import StepRecord, step
from lakehouse.tables.insert import insert_rows
from lakehouse.tables.read import pin_heads
from schemas.canonical import content_id
from schemas.tables import DATASETS, DIMENSIONS, ENTITIES, EVALUATIONS, OPINIONS

VARIED = """
select count(*) as n from gold.dataset_members
where dataset_id = $dataset_id and split = $split and operation = 'variant'
"""

MADE = """
select operation, count(*) as members, count(distinct parent_ids[1]) as parents from gold.dataset_members
where dataset_id = $dataset_id and split = $split and operation <> 'variant' group by operation order by operation
"""

CLASSES = "select distinct split, label from gold.dataset_members where dataset_id = $dataset_id"


def evaluate(
    lake: Lake,
    *,
    dataset_id: str,
    actor: str,
    question: str,
    split: str = "test",
    slices: Sequence[str] = (),
    gates: Sequence[Gate] = (),
    against: str = "",
) -> Receipt:
    """Score an actor's current answers against those of a dataset version.

    Of labels: accuracy, coverage (share of members with an answer), log loss (nats) over all and by slice; precision,
    recall and F1 by class, and their macro means over the classes that are there. A gate on a class of the dataset
    that has no member in this split is a failure. Log loss: a member without an answer, or whose answer gives its
    label no probability, costs -ln 1e-15; where no answer has probabilities there is none. Of boxes: average precision
    and more, see `lakehouse.datasets.policies.box_scores`; of other kinds what their kind says. Variants of members
    are not scored: a picture counts once.

    Args:
        lake: The lake.
        dataset_id: Version whose members' answers are the truth.
        actor: Actor whose answers are scored, for example model:cnn@1.
        question: The question they answer.
        split: Split to score.
        slices: What to break the numbers down by: a column of `entities_wide`, or `column:4` for four groups of
            equal size by its value (for columns of numbers).
        gates: What must hold.
        against: Another actor, for example the model that is in use: every number over all gets a difference to its,
            `accuracy_gain`, with the low and high end of its interval of 95 %, `accuracy_gain_low` and `_high`. Gates
            can be on the difference.

    Returns:
        Receipt with counts members and answered, and details verdict and the first number over all: accuracy of labels,
            map of boxes.

    Raises:
        ConfigError: If nobody knows the actor, the question or the split, the split has no answered member or none
            that the actor answered about, a slice is not one, or a gate is on a number that there is not.
        RecipeError: If there is no such dataset.
        TableError: If a file of a table is missing or damaged.
    """
    check_request(slices, gates)
    versions = pin_heads(lake, [table.name for table in (OPINIONS, DIMENSIONS, ENTITIES, DATASETS)])
    run = {"dataset_id": dataset_id, "actor_id": actor, "question_id": question, "split": split}
    inputs: dict[str, object] = {
        "run": run,
        "slices": list(slices),
        "gates": [dataclasses.asdict(gate) for gate in gates],
        **({"against": against} if against else {}),
        "versions": versions,
    }
    with step(lake, "evaluate", inputs=inputs, reads=versions) as record:
        if not record.unchanged:
            version = find_dataset(lake, dataset_id)
            classes = _check_known(lake, version, run, record)
            if against:
                _check_known(lake, version, run | {"actor_id": against}, record)
            check_members(lake, dataset_id)
            kind = version.answers
            made = fetch(lake, VARIED, params=run)[0]["n"] if version.followed.variants.copies else 0
            if made:
                record.note("variants_left_out", f"variants in split `{split}` are not scored, their members are",
                            count=made)
            for row in fetch(lake, MADE, params=run):
                text = f"made by {row['operation']} of {row['parents']:,} entities, whose dimensions slices go by"
                record.note("made_of_others", f"members are {text}", count=row["members"])
            metrics, evidence = _measured(lake, run, kind, slices, resampled=bool(gates or against))
            answered = next((m for m in metrics if (m.metric, m.slice) == ("coverage", "all")), None)
            if answered is None or answered.support == 0:
                raise ConfigError(f"dataset {dataset_id}: no labelled member in split `{split}` to evaluate on")
            if not answered.value:
                raise ConfigError(
                    f"{actor} answered `{question}` about none of the {answered.support:,} labelled members of split "
                    f"`{split}` of dataset {dataset_id}: nothing to score; record its predictions for these first"
                )
            if against:
                others = _measured(lake, run | {"actor_id": against}, kind, (), resampled=True)
                metrics += gains(metrics, evidence["all"], *others)
            check_computed(gates, [metric.metric for metric in metrics], LABEL if _by_label(kind) else kind or LABEL)
            check_values(gates, {metric.slice for metric in metrics}, classes)
            headline = next(m for m in metrics if m.slice == "all" and m.metric != "coverage")
            rows, verdict = judged(metrics, gates, evidence)
            evaluation_id = content_id([run, rows])
            complete = [{"evaluation_id": evaluation_id} | run | row for row in rows]
            record.writes.append(insert_rows(lake, EVALUATIONS, complete, step="evaluate"))
            record.counts = {
                "members": answered.support,
                "answered": round(answered.value * answered.support),
                "metrics": len(rows),
            }
            told = "none" if headline.value is None else f"{headline.value:.4f}"
            record.details = {"evaluation_id": evaluation_id, headline.metric: told, "verdict": verdict}
            if against:
                record.details[f"{headline.metric}{GAIN}"] = told_gain(metrics, headline.metric)
    return record.finished()


def _measured(
    lake: Lake, run: Mapping[str, str], kind: AnswerKind | None, slices: Sequence[str], *, resampled: bool
) -> tuple[list[Metric], dict[str, tuple[Weigh, int]]]:
    if kind is None or _by_label(kind):
        return measure_labels(lake, run, slices, resampled=resampled)
    return measure_answers(lake, run, kind, slices)


def _by_label(kind: AnswerKind | None) -> bool:
    """Return whether members are scored by their one label: of a crop that of its region."""
    return kind is None or kind.value_kind == LABEL.value_kind or kind.one_label


def _check_known(lake: Lake, version: DatasetVersion, run: Mapping[str, str], record: StepRecord) -> list[str]:
    """Refuse names that nobody knows: they would look like a model that never answers; return the classes."""
    known = [row["actor_id"] for row in fetch(lake, "select distinct actor_id from silver.actors order by actor_id")]
    if run["actor_id"] not in known:
        raise ConfigError(
            f"no actor `{run['actor_id']}` ever answered anything in this lake{nearest(run['actor_id'], known)}"
        )
    text = "select distinct question_id from silver.opinions order by question_id"
    asked, question = [row["question_id"] for row in fetch(lake, text)], run["question_id"]
    if question not in asked:
        raise ConfigError(f"nobody ever answered question `{question}` in this lake{nearest(question, asked)}")
    members = fetch(lake, CLASSES, params={"dataset_id": run["dataset_id"]})
    splits = sorted({row["split"] for row in members})
    if splits and run["split"] not in splits:
        raise ConfigError(
            f"dataset {run['dataset_id']} has no member in a split `{run['split']}`{nearest(run['split'], splits)}"
        )
    own = version.recipe.get("question")
    if own and own != question:
        record.note("other_question", f"the labels of the dataset answer `{own}`, the predictions `{question}`")
    # Members with boxes have no label of their own: their classes are those of the version.
    return sorted({row["label"] for row in members if row["label"] is not None} or version.classes)
