"""What a policy believes about every subject of a question, now or as it was believed at a time."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from lakehouse.engines import Relation
from lakehouse.errors import ConfigError
from lakehouse.labels.merged import merged_batches
from lakehouse.labels.policies import policy_named
from lakehouse.labels.policy import Policy
from lakehouse.labels.sql import BELIEVED, ROWS_PER_TASK, believed_sql
from lakehouse.labels.union import united
from lakehouse.lake import Lake
from lakehouse.names import nearest
from lakehouse.query import fetch, query
from lakehouse.views.ontology import merged_labels_sql

QUESTIONS = "select distinct question_id from silver.questions order by question_id"


def labels(
    lake: Lake,
    question: str,
    policy: str | Policy = "majority",
    *,
    known_at: datetime | None = None,
    valid_at: datetime | None = None,
    inputs: dict[str, Relation] | None = None,
) -> Relation:
    """Return what a policy believes about every subject that anybody whom it hears has answered about.

    The same rows on both engines, whatever the order in which the opinions came.

    Args:
        lake: The lake.
        question: The question.
        policy: The policy, or the name or id of one that the lake knows; a name means what it meant at `known_at`.
        known_at: As we knew it then (ingest time): opinions, label sets and what the policy's name meant.
        valid_at: As had been said by then (event time).
        inputs: Relations that take the place of tables, by their names.

    Returns:
        The columns of `lakehouse.labels.sql.believed_sql`. Of regions that a step unites, `regions` are the united
        ones, and `opinion_id` is the newest of the answers.

    Raises:
        ConfigError: If there is no such question or policy.
    """
    chosen = policy_named(lake, policy, known_at=known_at) if isinstance(policy, str) else policy
    asked = [row["question_id"] for row in fetch(lake, QUESTIONS)]
    if question not in asked:
        raise ConfigError(f"no question `{question}` was asked{nearest(question, asked)}")
    times = {"known_at": known_at, "valid_at": valid_at}
    params: dict[str, object] = {"question": question}
    params |= {name: time for name, time in times.items() if time is not None}
    text = believed_sql(chosen, known_at=known_at is not None, valid_at=valid_at is not None)
    found = query(lake, text, params=params, inputs=inputs)
    merges = _merges(lake, question, known_at)
    if chosen.unites:
        found = united(lake, found, chosen, params=params, inputs=inputs, merges=merges)
    if not merges:
        return found
    # Votes go by the label that stands for one; the labels of regions and lists are put right here.
    make = functools.partial(merged_batches, merges=merges, schema=BELIEVED)
    return lake.engine.map_batches(found, make, BELIEVED, rows_per_task=ROWS_PER_TASK, label="merged labels")


def _merges(lake: Lake, question: str, known_at: datetime | None) -> dict[tuple[int, str], str]:
    """Return (0, label) -> the label that stands for it."""
    text = merged_labels_sql(known_at=known_at is not None)
    rows = fetch(lake, text, params={"known_at": known_at})
    return merges_of(rows, question)


def merges_of(rows: Sequence[Mapping[str, Any]], question: str) -> dict[tuple[int, str], str]:
    """Return (0, label) -> the label that stands for it, from rows of `merged_labels`.

    Of a label that two versions of a question merge otherwise the newest one's: the row of what is believed does not
    tell the version.
    """
    return {
        (0, row["label_id"]): row["stands_for"]
        for row in sorted(rows, key=lambda row: int(row["question_version"])) if row["question_id"] == question
    }  # fmt: skip
