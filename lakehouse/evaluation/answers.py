"""Answers of other kinds than labels scored: what their kind's own pure function says, over all and by slice."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lakehouse.datasets.policies.kind import AnswerKind, Scored
from lakehouse.errors import ConfigError
from lakehouse.evaluation.bootstrap import Weigh, weighing
from lakehouse.evaluation.merged import merged_then
from lakehouse.evaluation.metric import Metric
from lakehouse.evaluation.slices import MEASURED, slice_columns, slice_label
from lakehouse.labels.merged import merged
from lakehouse.lake import Lake
from lakehouse.query import fetch
from schemas.opinions import VALUE_COLUMNS

ANSWERED = """
with answers as (
    select subject_id, question_version, {value}, probs, row_number() over (
        partition by subject_id order by event_time desc nulls last, opinion_id desc
    ) as recency
    from current_opinions
    where actor_id = $actor_id and question_id = $question_id and op = 'assert' and value_kind = $value_kind
)
select m.entity_id, m.answer_json, p.question_version, p.{value}, p.probs, p.subject_id is not null as has_answer,
    {slices}
from gold.dataset_members m
left join answers p on p.subject_id = m.entity_id and p.recency = 1
{wide}
where m.dataset_id = $dataset_id and m.split = $split and m.answer_json is not null
    and m.operation is distinct from 'variant'
order by m.entity_id
"""
"""One row per answered member of the split. Of an actor who answered in several slots the newest answer counts."""

MERGES = "select question_version, label_id, stands_for from merged where question_id = $question_id"


def measure_answers(
    lake: Lake, run: Mapping[str, object], kind: AnswerKind, slices: Sequence[str]
) -> tuple[list[Metric], dict[str, tuple[Weigh, int]]]:
    """Return coverage, and what the kind of answer scores: over all and by class; by slice what is over all classes.

    Labels that were merged when the dataset was built say the one that stands for them, in whatever the answers are.
    Beside the numbers the evidence, see `lakehouse.evaluation.bootstrap.Evidence`.

    Raises:
        ConfigError: If nothing scores answers of this kind.
    """
    if kind.score is None and kind.weigh is None:
        raise ConfigError(f"answers of kind {kind.name} cannot be scored: nothing says how")
    columns = slice_columns(slices)
    rows, scored = _members(lake, run, kind, slices)
    metrics: list[Metric] = []
    evidence: dict[str, tuple[Weigh, int]] = {}
    for name, sliced in zip(columns, ["", *slices], strict=True):
        groups: dict[str, list[Scored]] = defaultdict(list)
        for row, member in zip(rows, scored, strict=True):
            groups[str(row[name])].append(member)
        for value in sorted(groups):
            members, where = groups[value], slice_label(sliced, value)
            weigh = weighing(kind, members)
            evidence[where] = weigh, len(members)
            for score in weigh(np.ones(len(members), np.int64)):
                if score.label is None:
                    metrics.append(Metric(score.metric, where, score.value, score.support))
                elif not sliced:
                    metrics.append(Metric(score.metric, f"class={score.label}", score.value, score.support))
    return metrics, evidence


def scored_members(lake: Lake, run: Mapping[str, object], kind: AnswerKind) -> list[Scored]:
    """Return the members of a split with what an actor answered about each, as `measure_answers` scores them."""
    return _members(lake, run, kind, ())[1]


def _members(
    lake: Lake, run: Mapping[str, object], kind: AnswerKind, slices: Sequence[str]
) -> tuple[list[dict[str, Any]], list[Scored]]:
    text = ANSWERED.format(
        value=VALUE_COLUMNS[kind.value_kind],
        slices=", ".join(f"{sql} as {name}" for name, sql in slice_columns(slices).items()),
        wide=MEASURED if slices else "",
    )
    rows = fetch(lake, text, params={**run, "value_kind": kind.value_kind})
    merges = _merges(lake, run)
    return rows, [_scored(merged(row, merges) if merges else row, kind) for row in rows]


def _merges(lake: Lake, run: Mapping[str, object]) -> dict[tuple[int, str], str]:
    """Return (version of the question, label) -> the label that stood for it when the dataset was built."""
    inputs = {"merged": merged_then(lake, str(run["dataset_id"]))}
    rows = fetch(lake, MERGES, params={"question_id": run["question_id"]}, inputs=inputs)
    return {(row["question_version"], row["label_id"]): row["stands_for"] for row in rows}


def _scored(row: Mapping[str, Any], kind: AnswerKind) -> Scored:
    answer = row[VALUE_COLUMNS[kind.value_kind] or "label"] if row["has_answer"] else None
    if answer is not None and kind.read_probs is not None:
        answer = kind.read_probs(answer, None if row["probs"] is None else dict(row["probs"]))
    elif answer is not None and kind.read is not None:
        answer = kind.read(answer)
    return Scored(row["entity_id"], json.loads(row["answer_json"]), answer)
