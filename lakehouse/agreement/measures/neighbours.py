"""Labels far from what is said about the things most like theirs: candidates for wrong labels.

The share of a thing's nearest neighbours that have another label is the usual sign of a mislabelled one (edited nearest
neighbours: D. L. Wilson, IEEE Transactions on Systems, Man, and Cybernetics 2 (1972)).
"""

from __future__ import annotations

import numpy as np

from lakehouse.agreement.measures.doubtful import Doubt
from lakehouse.consensus.methods.votes import Flags, Floats, Ints, Votes, shares

BLOCK = 512
"""Things whose distances to all others are in memory at once."""

MAX_THINGS = 50_000
"""Every pair of things is compared."""


def far_from_neighbours(
    votes: Votes, nearest_IN: Ints, *, most_share: float = 0.2, least_share: float = 0.5
) -> list[Doubt]:
    """Return votes whose label few of the nearest things have, the most doubtful first.

    A neighbour counts by the shares of the votes about it, so that one with many votes counts no more than others.

    Args:
        votes: All votes.
        nearest_IN: Places of the nearest other items of each item, -1 where there are fewer; int64, (I, N).
        most_share: Share of the neighbours that the label has at most.
        least_share: Share that another label needs.
    """
    shares_IK = shares(votes.tally_IK)
    there = nearest_IN >= 0
    number = there.sum(axis=1)
    around_IK = (shares_IK[nearest_IN] * there[:, :, None]).sum(axis=1) / np.maximum(number, 1)[:, None]
    best = around_IK.argmax(axis=1)
    found = {}
    for item, actor, label in zip(votes.item.tolist(), votes.actor.tolist(), votes.label.tolist(), strict=True):
        own, lead, other = around_IK[item, label], around_IK[item, best[item]], int(best[item])
        if number[item] and label != other and own <= most_share and lead >= least_share:
            text = f"{votes.labels[label]}; of the {number[item]} nearest {lead:.0%} are {votes.labels[other]}"
            found[item, actor, label] = Doubt(
                "far_from_neighbours", votes.items[item], votes.actors[actor], round(float(lead - own), 6), text
            )
    return sorted(found.values(), key=lambda each: (-each.score, each.item, each.actor, each.text))


def nearest(vectors_ID: Floats, is_known_I: Flags, *, number: int = 10) -> Ints:
    """Return the places of the nearest other items by the angle between vectors, nearest first; int64, (I, number).

    Of equally near ones the first. An item without a vector has no neighbours and is none: -1.

    Args:
        vectors_ID: One vector of each item; a vector of zeros is like no other.
        is_known_I: Whether an item has a vector.
        number: Neighbours of each.

    Raises:
        ValueError: If more than `MAX_THINGS` items have a vector.
    """
    places = np.flatnonzero(is_known_I)
    if len(places) > MAX_THINGS:
        raise ValueError(f"{len(places):,} things with a vector; at most {MAX_THINGS:,}")
    found = np.full((len(vectors_ID), number), -1, np.int64)
    lengths = np.linalg.norm(vectors_ID[places], axis=1, keepdims=True)
    unit = vectors_ID[places] / np.where(lengths > 0, lengths, 1.0)
    kept = min(number, len(places) - 1)
    if kept < 1:
        return found
    for start in range(0, len(places), BLOCK):
        # Rounded, so that equal vectors are equally near whatever the order of sums.
        alike = np.round(unit[start : start + BLOCK] @ unit.T, 9)
        rows = np.arange(len(alike))
        alike[rows, start + rows] = -np.inf
        order = np.argsort(-alike, axis=1, kind="stable")[:, :kept]
        found[places[start : start + BLOCK], :kept] = places[order]
    return found
