"""How predicted spans and intervals are scored: exactly, and by how much they overlap.

A stretch is found exactly if one of the same label and channel has the same start and end, times within a millisecond.
By overlap, stretches of one label and channel are paired by falling intersection over union, each once, down to 0.5.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from lakehouse.datasets.policies.hits import MICRO, Ints, by_class, shares_of
from lakehouse.datasets.policies.kind import BY_CLASS, Measure, Score, Scored

OVERLAP = 0.5
OVERLAPPING = ("overlap_precision", "overlap_recall", "overlap_f1")
MEASURES = (*(Measure(name) for name in (*MICRO, *OVERLAPPING)), *BY_CLASS)


def weigh_stretches(rows: Sequence[Scored]) -> Callable[[Ints], Iterator[Score]]:
    """Return what scores stretches, from how often each row counts.

    `micro_precision`, `micro_recall` and `micro_f1` of exact stretches, `overlap_precision`, `overlap_recall` and
    `overlap_f1` of those that overlap by half, and by class `precision`, `recall` and `f1` of exact ones with their
    means `macro_*` over the classes of the truth.

    Args:
        rows: Truth and answer: lists of {label, start, end} and channel if stated. No answer is an empty one.
    """
    # Label -> (rows, 3): exact hits, said, wanted.
    exact: dict[str, Ints] = defaultdict(lambda: np.zeros((len(rows), 3), np.int64))
    paired = np.zeros(len(rows), np.int64)
    for number, row in enumerate(rows):
        truth, answer = _by_place(row.truth), _by_place(row.answer or ())
        for place in {*truth, *answer}:
            there, mine = truth.get(place, []), answer.get(place, [])
            hits = sum((Counter(map(_rounded, there)) & Counter(map(_rounded, mine))).values())
            exact[place[0]][number] += (hits, len(mine), len(there))
            paired[number] += _paired(there, mine)
    by_label = dict(sorted(exact.items()))
    return lambda counts: _scores(by_label, paired, counts)


def _scores(exact: Mapping[str, Ints], paired: Ints, counts: Ints) -> Iterator[Score]:
    found = {label: (counts @ each).tolist() for label, each in exact.items()}
    hits, said, wanted = (sum(each[place] for each in found.values()) for place in range(3))
    for names, right in ((MICRO, hits), (OVERLAPPING, int(counts @ paired))):
        for name, value in zip(names, shares_of(right, said, wanted), strict=True):
            yield Score(name, None, value, wanted)
    yield from by_class(found)


def _by_place(stretches: Sequence[Mapping[str, Any]]) -> dict[tuple[str, Any], list[tuple[float, float]]]:
    found: dict[tuple[str, Any], list[tuple[float, float]]] = defaultdict(list)
    for each in stretches:
        found[str(each["label"]), each.get("channel")].append((each["start"], each["end"]))
    return found


def _rounded(stretch: tuple[float, float]) -> tuple[float, float]:
    return round(stretch[0], 3), round(stretch[1], 3)


def _paired(truth: Sequence[tuple[float, float]], said: Sequence[tuple[float, float]]) -> int:
    shares = [
        (_overlap(one, other), place, number)
        for place, one in enumerate(truth) for number, other in enumerate(said)
    ]  # fmt: skip
    taken: set[tuple[str, int]] = set()
    hits = 0
    for share, place, number in sorted(shares, key=lambda each: (-each[0], each[1], each[2])):
        if share >= OVERLAP and not taken & {("true", place), ("said", number)}:
            taken |= {("true", place), ("said", number)}
            hits += 1
    return hits


def _overlap(one: tuple[float, float], other: tuple[float, float]) -> float:
    shared = min(one[1], other[1]) - max(one[0], other[0])
    union = (one[1] - one[0]) + (other[1] - other[0]) - max(shared, 0)
    # Of two points in time there is no union: they overlap if they are the same.
    return max(shared, 0) / union if union else float(one == other)
