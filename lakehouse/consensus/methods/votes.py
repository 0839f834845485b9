"""Votes as arrays: who gave which item which label, and how many equal answers stand behind it.

Axes are called I (items), A (actors), K (labels) and V (votes) in all methods.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

MAX_CELLS = 200_000_000
"""Numbers of one table of items and labels, 1.6 GB: above it the methods refuse, and the SQL form is there."""


@dataclass(frozen=True, slots=True)
class Votes:
    """All votes on one question.

    Attributes:
        items: Names of the items; (I,).
        actors: Names of the actors; (A,).
        labels: Names of the labels, in the order in which ties are broken; (K,).
        item: Place in `items` of each vote; int64, (V,).
        actor: Place in `actors` of each vote; int64, (V,).
        label: Place in `labels` of each vote; int64, (V,).
        weight: Equal answers behind each vote, above 0; float64, (V,).
    """

    items: Sequence[str]
    actors: Sequence[str]
    labels: Sequence[str]
    item: Ints
    actor: Ints
    label: Ints
    weight: Floats

    def __post_init__(self) -> None:
        if len(self.items) * len(self.labels) > MAX_CELLS:
            raise ValueError(
                f"{len(self.items):,} items and {len(self.labels):,} labels are more than {MAX_CELLS:,} numbers"
            )

    @property
    def tally_IK(self) -> Floats:
        """Weight by item and label; float64, (I, K)."""
        return weigh(self, self.weight)

    @property
    def answers_I(self) -> Floats:
        """Weight by item; float64, (I,)."""
        return np.asarray(np.bincount(self.item, self.weight, len(self.items)), np.float64)


def weigh(votes: Votes, weight: Floats) -> Floats:
    """Return the sum of `weight` (V,) by item and label; float64, (I, K)."""
    shape = len(votes.items), len(votes.labels)
    flat = np.bincount(votes.item * shape[1] + votes.label, weight, shape[0] * shape[1])
    return np.asarray(flat.reshape(shape), np.float64)


def shares(tally_IK: Floats) -> Floats:
    """Return each row divided by its sum; a row of zeros becomes equal shares."""
    total = tally_IK.sum(axis=1, keepdims=True)
    equal = 1.0 / max(tally_IK.shape[1], 1)
    return np.where(total > 0, tally_IK / np.where(total > 0, total, 1.0), equal)


def votes_from(
    items: Sequence[str],
    actors: Sequence[str],
    labels: Sequence[str],
    weights: Sequence[float] | None = None,
    *,
    order: Sequence[str] = (),
) -> Votes:
    """Return votes from four columns of equal length.

    Args:
        items: Item of each vote; (V,).
        actors: Actor of each vote; (V,).
        labels: Label of each vote; (V,).
        weights: Equal answers behind each vote; None: one each.
        order: Labels in the order in which ties are broken; those that are not in it follow, by code point.
    """
    item_names, item = _codes(items)
    actor_names, actor = _codes(actors)
    found, label = _codes(labels)
    place = {name: n for n, name in enumerate(order)}
    ranked = sorted(range(len(found)), key=lambda n: (place.get(found[n], len(place)), found[n]))
    moved = np.empty(len(found), np.int64)
    moved[ranked] = np.arange(len(found))
    weight = np.ones(len(item)) if weights is None else np.asarray(weights, np.float64)
    return Votes(item_names, actor_names, [found[n] for n in ranked], item, actor, moved[label], weight)


def _codes(names: Sequence[str]) -> tuple[list[str], Ints]:
    # Sorted by code point, so that a result does not hang on the order in which votes are read.
    places = {name: n for n, name in enumerate(sorted(set(names)))}
    return list(places), np.fromiter((places[name] for name in names), np.int64, len(names))
