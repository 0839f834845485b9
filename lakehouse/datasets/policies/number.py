"""Numbers: one actor's, or the mean or median of all votes."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from lakehouse.datasets.policies import votes
from lakehouse.datasets.policies.kind import AnswerKind, Decision, because_of
from lakehouse.datasets.policies.newest import NEWEST, unsettled
from lakehouse.datasets.policies.number_scores import MEASURES, weigh_numbers
from lakehouse.datasets.policies.settings import Label
from loaders.format.fields import Field

AVERAGES = ("mean", "median")
EACH_NUMBER = "select subject_id, cast(number as varchar) as said, votes from heard"
"""As text both engines give the shortest that is read back as the same double."""


def decide(row: Mapping[str, Any], settings: Label) -> Decision:
    """Return the number of one entity."""
    if settings.policy in NEWEST:
        return unsettled(row, settings) or Decision(answer=row["number"])
    few = votes.below_quorum(row, settings)
    if few is not None:
        return few
    said = sorted((float(number), count) for number, count in votes.tally_of(row).items())
    return Decision(answer=mean(said) if settings.policy == "mean" else median(said))


def mean(said: Sequence[tuple[float, int]]) -> float:
    """Return the mean of numbers with votes, rounded once: the order of the rows changes no digit."""
    return math.fsum(number * count for number, count in said) / sum(count for _, count in said)


def median(said: Sequence[tuple[float, int]]) -> float:
    """Return the median of numbers with votes, by rising number; of an even count the mean of the two in the middle."""
    total, seen = sum(count for _, count in said), 0
    middle: list[float] = []
    for number, count in said:
        before, seen = seen, seen + count
        middle += [number for place in ((total - 1) // 2, total // 2) if before <= place < seen]
    return math.fsum(middle) / 2


def samples(members: pa.Table, _classes: Sequence[str]) -> Iterator[tuple[Field, pa.Array]]:
    """Yield `number`, float64."""
    values = [float(json.loads(text)) for text in members["answer_json"].to_pylist()]
    yield Field("number", pa.float64(), doc="Number by the recipe's policy, in the unit of the question."), pa.array(
        values, pa.float64()
    )


def refuse(settings: Label) -> str | None:
    """A quorum has a meaning for averages, shares and ties have none."""
    return votes.refuse(settings, counting=AVERAGES, shares=False)


NUMBER = AnswerKind(
    value_kind="number",
    policies=(*AVERAGES, *NEWEST),
    version=1,
    hears=("event_time", "number", "votes"),
    tally=votes.votes_sql("number", said=EACH_NUMBER),
    decide=decide,
    because=because_of("number"),
    refuse=refuse,
    samples=samples,
    sample_names=("number",),
    weigh=weigh_numbers,
    measures=MEASURES,
)
