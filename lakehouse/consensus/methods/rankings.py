"""One order of many: Borda's count, and the model of Bradley and Terry.

R. A. Bradley, M. E. Terry: Rank analysis of incomplete block designs, Biometrika 39 (1952); the rounds are those of
D. R. Hunter: MM algorithms for generalized Bradley-Terry models, Annals of Statistics 32 (2004).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lakehouse.consensus.methods.votes import Floats

DRAW = 0.1
"""Wins that each of a pair has over the other before anybody is heard: who never lost is not infinitely good."""


def candidates(rankings: Sequence[Sequence[str]]) -> list[str]:
    """Return everything that anybody ranked, by code point."""
    return sorted({each for ranking in rankings for each in ranking})


def borda(rankings: Sequence[Sequence[str]], weights: Sequence[float]) -> dict[str, float]:
    """Return the points of each candidate as a share of the most it can have, 0 to 1.

    The first of n candidates gets n - 1 points, the last none. What a ranking leaves out stands behind what it names,
    and shares the points of these places.
    """
    names = candidates(rankings)
    last = len(names) - 1
    points = dict.fromkeys(names, 0.0)
    for ranking, weight in zip(rankings, weights, strict=True):
        shared = (last - len(ranking)) / 2
        place_of = {name: place for place, name in enumerate(ranking)}
        for name in names:
            points[name] += weight * (last - place_of[name] if name in place_of else shared)
    most = max(last, 1) * sum(weights)
    return {name: got / most for name, got in points.items()}


def bradley_terry(
    rankings: Sequence[Sequence[str]], weights: Sequence[float], *, rounds: int = 1000, tolerance: float = 1e-9
) -> dict[str, float]:
    """Return the strength of each candidate; strengths add up to 1, and of two a wins with a / (a + b).

    Of each ranking every pair that it names is one comparison; what it leaves out is compared with nothing.
    """
    names = candidates(rankings)
    place_of = {name: place for place, name in enumerate(names)}
    wins_CC = np.full((len(names), len(names)), DRAW)
    np.fill_diagonal(wins_CC, 0.0)
    for ranking, weight in zip(rankings, weights, strict=True):
        places = [place_of[name] for name in ranking]
        for place, winner in enumerate(places):
            wins_CC[winner, places[place + 1 :]] += weight
    strength = _strengths(wins_CC, rounds, tolerance)
    return dict(zip(names, strength.tolist(), strict=True))


def _strengths(wins_CC: Floats, rounds: int, tolerance: float) -> Floats:
    count = len(wins_CC)
    strength = np.full(count, 1.0 / max(count, 1))
    if count < 2:
        return strength
    met_CC, won_C = wins_CC + wins_CC.T, wins_CC.sum(axis=1)
    for _ in range(rounds):
        new = won_C / (met_CC / (strength[:, None] + strength[None, :])).sum(axis=1)
        new /= new.sum()
        if np.abs(new - strength).max() <= tolerance:
            return np.asarray(new, np.float64)
        strength = new
    return strength


def ordered(scores: dict[str, float]) -> tuple[list[str], bool]:
    """Return candidates by score, best first and equal ones by code point; and whether there are equal ones."""
    names = sorted(scores, key=lambda name: (-round(scores[name], 9), name))
    values = [round(scores[name], 9) for name in names]
    return names, len(set(values)) < len(values)
