"""Alpha for unitizing over all subjects with stretches: each text or recording is a continuum of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lakehouse.agreement.likeness import ENDS, family_of
from lakehouse.agreement.measures.unitizing import Stretch, disagreement

MS = {"interval": 1000, "span": 1}
"""Places of one unit: seconds are counted in milliseconds, characters as they are."""


class Marked(NamedTuple):
    """Alpha; None where nobody marked anything or there is no chance to differ. `assumed`: subjects of which the length
    is not known."""

    alpha: float | None
    assumed: int


def unitizing_alpha(
    answers: Mapping[str, Sequence[Mapping[str, Any]]], lengths: Mapping[str, int]
) -> Marked:
    """Return Krippendorff's alpha for unitizing over all subjects that two or more annotators answered about.

    Observed and expected disagreement are added up over labels, channels and subjects, each subject counting the same.

    Args:
        answers: Subject -> answers about it.
        lengths: Subject -> places of its continuum, where known; else it ends with the last stretch.
    """
    observed = expected = 0.0
    assumed = 0
    for subject, rows in answers.items():
        marked: dict[tuple[str, int], list[list[Stretch]]] = {}
        for place, row in enumerate(rows):
            for region in row["regions"] or ():
                kind = family_of(region)
                if kind in ENDS:
                    start, end = (round(region[name] * MS[kind]) for name in ENDS[kind])
                    key = region["label"] or "", region["channel"] or 0
                    marked.setdefault(key, [[] for _ in rows])[place].append((start, end))
        length = max((end for each in marked.values() for one in each for _, end in one), default=0)
        if len(rows) < 2 or not length:
            continue
        assumed += subject not in lengths
        length = max(length, lengths.get(subject, 0))
        for each in marked.values():
            seen, by_chance = disagreement(each, length)
            observed, expected = observed + seen, expected + by_chance
    return Marked(1 - observed / expected if expected > 0 else None, assumed)
