"""evaluate: a model's predictions against a dataset's labels -> gold.evaluations, with a verdict."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lakehouse.datasets.counts import check_members
from lakehouse.datasets.find import find_dataset
from lakehouse.errors import ConfigError
from lakehouse.evaluation.gates import Gate, check_gates, check_values
from lakehouse.extractors.extractor import KINDS as DIMENSION_KINDS
from lakehouse.lake import Lake
from lakehouse.names import nearest
from lakehouse.query import fetch, query
from lakehouse.steps.receipts import Receipt
from lakehouse.steps.step import StepRecord, step
from lakehouse.tables.insert import insert_rows
from lakehouse.tables.read import pin_heads
from lakehouse.views.registry import SHARED_TEXT_KINDS, wide_kinds
from schemas.canonical import content_id
from schemas.tables import DATASETS, DIMENSIONS, ENTITIES, EVALUATIONS, OPINIONS

SLICE = re.compile(r"(?P<column>[a-z_][a-z0-9_]*)(?::(?P<groups>[1-9][0-9]{0,2}))?")

SCORED = """
with answers as (
    select subject_id, label, probs, row_number() over (
        partition by subject_id order by event_time desc nulls last, opinion_id desc
    ) as recency
    from current_opinions
    where actor_id = $actor_id and question_id = $question_id and op = 'assert' and value_kind = 'label'
), predicted as (
    select subject_id, label, probs from answers where recency = 1
)
select m.entity_id, m.label as truth, p.label as answer,
    p.probs is not null as has_probs, p.probs[m.label] as p_truth, {slices}
from gold.dataset_members m
left join predicted p on p.subject_id = m.entity_id
{wide}
where m.dataset_id = $dataset_id and m.split = $split and m.label is not null
"""
"""One row per labelled member of the split; one without a prediction counts as wrong, not as missing.

Of an actor who answered in several slots the newest answer counts.
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


CLASSES = "select distinct split, label from gold.dataset_members where dataset_id = $dataset_id"


@dataclass(frozen=True, slots=True)
class Metric:
    """One number on one slice; `value` is None where it is not defined (no answers, no members)."""

    metric: str
    slice: str
    value: float | None
    support: int


def evaluate(
    lake: Lake,
    *,
    dataset_id: str,
    actor: str,
    question: str,
    split: str = "test",
    slices: Sequence[str] = (),
    gates: Sequence[Gate] = (),
) -> Receipt:
    """Score an actor's current answers against the labels of a dataset version.

    Accuracy, coverage (share of members with an answer), log loss (nats) over all and by slice; precision,
    recall and F1 by class, and their macro means over the classes that are there. A gate on a class of the dataset
    that has no member in this split is a failure. Log loss: a member without an answer, or whose answer gives its
    label no probability, costs -ln 1e-15; where no answer has probabilities there is none.

    Args:
        lake: The lake.
        dataset_id: Version whose member labels are the truth.
        actor: Actor whose answers are scored, for example model:cnn@1.
        question: The question they answer.
        split: Split to score.
        slices: What to break the numbers down by: a column of `entities_wide`, or `column:4` for four groups of
            equal size by its value (for columns of numbers).
        gates: What must hold.

    Returns:
        Receipt with counts members and answered, and details verdict and accuracy.

    Raises:
        ConfigError: If nobody knows the actor, the question or the split, the split has no labelled member or none
            that the actor answered about, a slice is not one, or a gate is on a number that there is not.
        RecipeError: If there is no such dataset.
        TableError: If a file of a table is missing or damaged.
    """
    check_request(slices, gates)
    run = {"dataset_id": dataset_id, "actor_id": actor, "question_id": question, "split": split}
    inputs: dict[str, object] = {
        "run": run,
        "slices": list(slices),
        "gates": [dataclasses.asdict(gate) for gate in gates],
        "versions": pin_heads(lake, [table.name for table in (OPINIONS, DIMENSIONS, ENTITIES, DATASETS)]),
    }
    with step(lake, "evaluate", inputs=inputs) as record:
        if not record.unchanged:
            classes = _check_known(lake, run, record)
            check_members(lake, dataset_id)
            metrics = _measure(lake, run, slices)
            total = next((m for m in metrics if (m.metric, m.slice) == ("accuracy", "all")), None)
            if total is None or total.support == 0:
                raise ConfigError(f"dataset {dataset_id}: no labelled member in split `{split}` to evaluate on")
            answered = next(m for m in metrics if (m.metric, m.slice) == ("coverage", "all"))
            if not answered.value:
                raise ConfigError(
                    f"{actor} answered `{question}` about none of the {total.support:,} labelled members of split "
                    f"`{split}` of dataset {dataset_id}: nothing to score; record its predictions for these first"
                )
            check_values(gates, {metric.slice for metric in metrics}, classes)
            rows, verdict = _rows(metrics, gates)
            evaluation_id = content_id([run, rows])
            complete = [{"evaluation_id": evaluation_id} | run | row for row in rows]
            record.writes.append(insert_rows(lake, EVALUATIONS, complete, step="evaluate"))
            record.counts = {
                "members": total.support,
                "answered": round((answered.value or 0) * total.support),
                "metrics": len(rows),
            }
            record.details = {"evaluation_id": evaluation_id, "accuracy": f"{total.value:.4f}", "verdict": verdict}
    return record.finished()


def _check_known(lake: Lake, run: Mapping[str, str], record: StepRecord) -> list[str]:
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
    own = find_dataset(lake, run["dataset_id"]).recipe.get("question")
    if own and own != question:
        record.note("other_question", f"the labels of the dataset answer `{own}`, the predictions `{question}`")
    return sorted({row["label"] for row in members if row["label"] is not None})


def check_request(slices: Sequence[str], gates: Sequence[Gate]) -> None:
    """Check slices and gates as far as no lake is needed for it.

    Raises:
        ConfigError: If a slice cannot be made, or a gate is on a number that would not be computed.
    """
    names = [_slice_name(text) for text in slices]
    for text, name in zip(slices, names, strict=True):
        found, kinds = SLICE.fullmatch(text), wide_kinds()
        if found is None:
            raise ConfigError(f"slice `{text}`: expected COLUMN or COLUMN:GROUPS, for example origin or brightness:4")
        if name not in kinds:
            raise ConfigError(f"slice `{text}`: no column `{name}`{nearest(name, kinds)}")
        if kinds[name] not in (SHARED_TEXT_KINDS if found["groups"] is None else DIMENSION_KINDS):
            raise ConfigError(f"slice `{text}`: `{name}` is of kind {kinds[name]}; slice it in groups, as {name}:4, or "
                              "take a column of text, whole numbers or booleans")
        if names.count(name) > 1:
            raise ConfigError(f"slices have `{name}` twice; their rows would be mixed up")
    check_gates(gates, names)


def _measure(lake: Lake, run: Mapping[str, object], slices: Sequence[str]) -> list[Metric]:
    # Names of our own: a slice may be by a column that the query has already.
    columns = {"slice_0": "'all'"} | {f"slice_{i}": _slice_sql(text) for i, text in enumerate(slices, start=1)}
    text = SCORED.format(
        slices=", ".join(f"{sql} as {name}" for name, sql in columns.items()),
        wide="left join entities_wide w on w.entity_id = m.entity_id" if slices else "",
    )
    scored = lake.engine.stage(query(lake, text, params=run))
    metrics: list[Metric] = []
    for name, column in zip(columns, ["", *map(_slice_name, slices)], strict=True):
        found = fetch(lake, BY_SLICE.format(name=name), inputs={"scored": scored})
        for row in sorted(found, key=lambda each: str(each["slice"])):
            where = f"{column}={row['slice']}" if column else "all"
            metrics.append(Metric("accuracy", where, _share(row["hits"], row["support"]), row["support"]))
            metrics.append(Metric("coverage", where, _share(row["answered"], row["support"]), row["support"]))
            loss = row["nano_nats"] / row["support"] / 1e9 if row["with_probs"] else None
            metrics.append(Metric("log_loss", where, loss, row["support"]))
    return metrics + _by_class(fetch(lake, BY_CLASS, inputs={"scored": scored}))


def _slice_name(text: str) -> str:
    return text.partition(":")[0]


def _slice_sql(text: str) -> str:
    """Return the SQL of one slice: `origin` for the values themselves, `brightness:4` for four groups of equal size.

    Groups go by rank (ties by entity), so that both engines cut at the same place; q1 has the smallest values.
    """
    name, _, groups = text.partition(":")
    column = f"w.{name}"
    if not groups:
        return f"coalesce(cast({column} as varchar), 'none')"
    rank = f"ntile({int(groups)}) over (partition by {column} is null order by {column}, m.entity_id)"
    return f"case when {column} is null then 'none' else concat('q', cast({rank} as varchar)) end"


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


def _rows(metrics: Sequence[Metric], gates: Sequence[Gate]) -> tuple[list[dict[str, object]], str]:
    by_place = {(gate.metric, gate.slice): gate for gate in gates}
    rows: list[dict[str, object]] = []
    verdicts = []
    for metric in metrics:
        gate = by_place.pop((metric.metric, metric.slice), None)
        verdict = "none" if gate is None else gate.verdict(metric.value, metric.support)
        verdicts.append(verdict)
        rows.append(
            {
                "metric": metric.metric,
                "slice": metric.slice,
                "value": metric.value,
                "support": metric.support,
                "operator": gate.operator if gate else None,
                "threshold": gate.threshold if gate else None,
                "min_support": gate.min_support if gate else None,
                "verdict": verdict,
            }
        )
    for gate in by_place.values():
        verdicts.append("fail")
        rows.append(
            {"metric": gate.metric, "slice": gate.slice, "value": None, "support": 0, "operator": gate.operator,
             "threshold": gate.threshold, "min_support": gate.min_support, "verdict": "fail"}
        )
    return rows, next((each for each in ("fail", "inconclusive", "pass") if each in verdicts), "none")


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
