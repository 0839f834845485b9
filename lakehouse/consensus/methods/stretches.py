"""Stretches of text or time that enough annotators marked: a vote at every place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stretch:
    """Places from `start` to `end`, the end excluded; `support`: the least weight that marked any of them."""

    start: float
    end: float
    support: float


def voted_stretches(
    starts: Sequence[float],
    ends: Sequence[float],
    owners: Sequence[str],
    weights: Sequence[float],
    *,
    above: float,
    at_least: float = 0.0,
) -> list[Stretch]:
    """Return the longest stretches of which every place is marked by enough weight, in order.

    Works alike for characters (whole numbers) and seconds: between two ends nothing changes. An annotator whose
    stretches overlap counts once; stretches without length mark nothing.

    Args:
        starts: Of each stretch; (n,).
        ends: Of each stretch, excluded; (n,).
        owners: Annotator of each; (n,).
        weights: Votes behind the annotator; (n,).
        above: Weight that a place needs more of.
        at_least: Weight that a place needs.
    """
    edges = sorted({*starts, *ends})
    place_of = {edge: place for place, edge in enumerate(edges)}
    marked: list[dict[str, float]] = [{} for _ in edges]
    for start, end, owner, weight in zip(starts, ends, owners, weights, strict=True):
        for place in range(place_of[start], place_of[end]):
            marked[place][owner] = weight
    found: list[Stretch] = []
    going = False
    for place, said in enumerate(marked):
        total = sum(said.values())
        enough = bool(said) and total > above and total >= at_least
        if enough and going:
            found[-1] = Stretch(found[-1].start, edges[place + 1], min(found[-1].support, total))
        elif enough:
            found.append(Stretch(edges[place], edges[place + 1], total))
        going = enough
    return found
