"""Yes or no: one actor's, or what more than half of the votes say."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from lakehouse.datasets.policies import votes
from lakehouse.datasets.policies.kind import AnswerKind, Decision, Measure, Score, Scored, because_of
from lakehouse.datasets.policies.newest import NEWEST, unsettled
from lakehouse.datasets.policies.settings import Label
from loaders.format.fields import Field

EACH_ANSWER = "select subject_id, case when number = 1 then 'yes' else 'no' end as said, votes from heard"
MEASURES = tuple(Measure(f"yes_{name}") for name in ("accuracy", "precision", "recall", "f1"))


def decide(row: Mapping[str, Any], settings: Label) -> Decision:
    """Return true or false; strata by `label` count it as `yes` or `no`."""
    if settings.policy in NEWEST:
        return unsettled(row, settings) or _decided(row["number"] == 1)
    few = votes.below_quorum(row, settings)
    if few is not None:
        return few
    total, count = int(row["num_votes"]), votes.tally_of(row).get("yes", 0)
    carried = votes.is_yes(count, total, settings)
    if carried is None:
        return Decision(reason="tie", detail=f"{count} of {total} votes say yes, exactly half")
    return _decided(carried)


def _decided(is_yes: bool) -> Decision:
    return Decision(answer=is_yes, cell="yes" if is_yes else "no")


def read(number: float) -> bool:
    """Return what one opinion says."""
    return number == 1


def samples(members: pa.Table, _classes: Sequence[str]) -> Iterator[tuple[Field, pa.Array]]:
    """Yield `bool`."""
    values = [bool(json.loads(text)) for text in members["answer_json"].to_pylist()]
    yield Field("bool", pa.bool_(), doc="Yes or no by the recipe's policy."), pa.array(values, pa.bool_())


def score(rows: Sequence[Scored]) -> Iterator[Score]:
    """Yield `yes_accuracy`, and `yes_precision`, `yes_recall` and `yes_f1` of yes; no prediction is a wrong one.

    Args:
        rows: Truth and answer: bool.
    """
    hits = sum(row.truth is True and row.answer is True for row in rows)
    said, wanted = sum(row.answer is True for row in rows), sum(row.truth is True for row in rows)
    right = sum(row.answer is not None and row.truth == row.answer for row in rows)
    yield Score("yes_accuracy", None, right / len(rows) if rows else None, len(rows))
    yield Score("yes_precision", None, hits / said if said else None, wanted)
    yield Score("yes_recall", None, hits / wanted if wanted else None, wanted)
    yield Score("yes_f1", None, 2 * hits / (said + wanted) if said + wanted else None, wanted)


BOOL = AnswerKind(
    value_kind="bool",
    policies=("majority", *NEWEST),
    version=1,
    hears=("event_time", "number", "votes"),
    tally=votes.votes_sql("number", said=EACH_ANSWER),
    decide=decide,
    because=because_of("answer"),
    refuse=votes.refuse,
    has_cell=True,
    samples=samples,
    sample_names=("bool",),
    read=read,
    score=score,
    measures=MEASURES,
)
