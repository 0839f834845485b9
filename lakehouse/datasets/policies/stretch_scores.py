"""How predicted spans and intervals are scored: exactly, and by how much they overlap.

A stretch is found exactly if one of the same label and channel has the same start and end, times within a millisecond.
By overlap, stretches of one label and channel are paired by falling intersection over union, each once, down to 0.5.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lakehouse.datasets.policies.kind import BY_CLASS, Measure, Score, Scored
from lakehouse.datasets.policies.labels_scores import MICRO

OVERLAP = 0.5
OVERLAPPING = ("overlap_precision", "overlap_recall", "overlap_f1")
MEASURES = (*(Measure(name) for name in (*MICRO, *OVERLAPPING)), *BY_CLASS)


def score_stretches(rows: Sequence[Scored]) -> Iterator[Score]:
    """Yield `micro_precision`, `micro_recall` and `micro_f1` of exact stretches, `overlap_precision`,
    `overlap_recall` and `overlap_f1` of those that overlap by half, and by class `precision`, `recall` and `f1` of
    exact ones with their means `macro_*` over the classes of the truth.

    Args:
        rows: Truth and answer: lists of {label, start, end} and channel if stated. No answer is an empty one.
    """
    wanted: Counter[str] = Counter()
    said: Counter[str] = Counter()
    exact: Counter[str] = Counter()
    paired = 0
    for row in rows:
        truth, answer = _by_place(row.truth), _by_place(row.answer or ())
        for place in {*truth, *answer}:
            label, there, mine = place[0], truth.get(place, []), answer.get(place, [])
            wanted[label] += len(there)
            said[label] += len(mine)
            exact[label] += sum((Counter(map(_rounded, there)) & Counter(map(_rounded, mine))).values())
            paired += _paired(there, mine)
    total, guessed = wanted.total(), said.total()
    for names, hits in ((MICRO, exact.total()), (OVERLAPPING, paired)):
        for name, value in zip(names, _shares(hits, guessed, total), strict=True):
            yield Score(name, None, value, total)
    means: dict[str, list[float]] = defaultdict(list)
    for label in sorted(wanted):
        values = _shares(exact[label], said[label], wanted[label])
        for name, value in zip(("precision", "recall", "f1"), values, strict=True):
            yield Score(name, label, value, wanted[label])
            if wanted[label]:
                means[name].append(value or 0.0)
    for name, each in means.items():
        yield Score(f"macro_{name}", None, sum(each) / len(each), total)


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


def _shares(hits: int, said: int, wanted: int) -> tuple[float | None, float | None, float | None]:
    return (
        hits / said if said else None,
        hits / wanted if wanted else None,
        2 * hits / (said + wanted) if said + wanted else None,
    )
