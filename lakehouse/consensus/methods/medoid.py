"""One text of many: the one that is nearest to all others by edit distance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

MAX_CHARACTERS = 20_000
"""Of one text: the distance of two takes their product."""


def edit_distance(one: str, other: str) -> int:
    """Return the least number of characters to insert, delete or replace (Levenshtein); characters are code points.

    Raises:
        ValueError: If a text is longer than `MAX_CHARACTERS`.
    """
    if max(len(one), len(other)) > MAX_CHARACTERS:
        raise ValueError(f"a text of {max(len(one), len(other)):,} characters; at most {MAX_CHARACTERS:,}")
    if one == other:
        return 0
    codes = np.array([ord(each) for each in other], np.int64)
    places = np.arange(len(other) + 1)
    row = places.copy()
    for character in one:
        ahead = np.minimum(row[1:] + 1, row[:-1] + (codes != ord(character)))
        best = np.concatenate(([row[0] + 1], ahead))
        # Insertions run along the row: the least of (cost - place) so far, plus the place.
        row = np.minimum.accumulate(best - places) + places
    return int(row[-1])


def medoid(texts: Sequence[str], weights: Sequence[float]) -> tuple[str, float]:
    """Return the text with the least weighted mean distance to all, and that distance over the longer length, 0 to 1.

    Of equally near ones the first by code point.
    """
    total = sum(weights)
    weight_of: dict[str, float] = {}
    for text, weight in zip(texts, weights, strict=True):
        weight_of[text] = weight_of.get(text, 0.0) + weight
    names = sorted(weight_of)
    cost = dict.fromkeys(names, 0.0)
    for place, one in enumerate(names):
        for other in names[place + 1 :]:
            share = edit_distance(one, other) / max(len(one), len(other), 1)
            cost[one] += weight_of[other] * share
            cost[other] += weight_of[one] * share
    best = min(names, key=lambda name: (round(cost[name], 12), name))
    return best, cost[best] / total
