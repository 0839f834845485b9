"""How sure a number is: its values over members drawn again and again, with the same dice every time.

The percentile bootstrap (Efron 1979) over members: as many are drawn with replacement as there are, and the number is
computed anew. Two models are compared on the same draws, so that what is hard for both does not count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from lakehouse.datasets.policies.kind import AnswerKind, Score, Scored

RESAMPLES = 1_000
"""What the ends of an interval of 95 % need to be steady in their second digit."""

SEED = 20

Ints = npt.NDArray[np.int64]
Weigh = Callable[[Ints], Iterable[Score]]
Place = tuple[str, str | None]
"""Metric and class; None: over all."""


def draws(num_members: int) -> Iterator[Ints]:
    """Yield how often each member counts; int64 (members,), adding up to their number, the same every time."""
    dice = np.random.default_rng(SEED)
    for _ in range(RESAMPLES):
        yield np.bincount(dice.integers(num_members, size=num_members), minlength=num_members)


def resampled(weigh: Weigh, num_members: int, places: Sequence[Place]) -> dict[Place, npt.NDArray[np.float64]]:
    """Return the values of some scores over all draws; float64 (draws,), NaN where one is not defined."""
    found = {place: np.full(RESAMPLES, np.nan) for place in places}
    for number, counts in enumerate(draws(num_members)):
        values = {(score.metric, score.label): score.value for score in weigh(counts)}
        for place in places:
            value = values.get(place)
            if value is not None:
                found[place][number] = value
    return found


def interval(values: npt.NDArray[np.float64], confidence: float) -> tuple[float, float] | None:
    """Return low and high end of what lies in the middle; None if hardly any draw has a value.

    Args:
        values: Over all draws, NaN where it is not defined.
        confidence: Share in the middle, 0 to 1.
    """
    there = values[~np.isnan(values)]
    if 2 * len(there) < len(values):
        return None
    low, high = np.quantile(there, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def weighing(kind: AnswerKind, rows: Sequence[Scored]) -> Weigh:
    """Return what scores rows, and their coverage, from how often each counts."""
    is_answered = np.array([row.answer is not None for row in rows], dtype=bool)
    score = kind.score
    prepared = kind.weigh(rows) if kind.weigh is not None else None

    def weigh(counts: Ints) -> Iterator[Score]:
        total = int(counts.sum())
        yield Score("coverage", None, float(counts[is_answered].sum() / total) if total else None, total)
        if prepared is not None:
            yield from prepared(counts)
        elif score is not None:
            yield from score([row for row, count in zip(rows, counts.tolist(), strict=True) for _ in range(count)])

    return weigh


def place_of(metric: str, slice_name: str) -> Place:
    """Return the place of a number in scores of its slice: of a class that, of any other slice over all."""
    return metric, slice_name.partition("=")[2] if slice_name.startswith("class=") else None


Evidence = Mapping[str, tuple[Weigh, int]]
"""Slice (`all` for classes too) -> what scores it, and its number of members."""


def evidence_of(evidence: Evidence, slice_name: str) -> tuple[Weigh, int] | None:
    """Return what scores a slice, and its number of members; None if it has no member."""
    return evidence.get("all" if slice_name.startswith("class=") else slice_name)
