"""[balance]: how often each class, or cell, is to be drawn: as weights of its members, or by rows that are repeated."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from lakehouse.datasets.recipes.sections.choice import CHOICES, check_choices
from lakehouse.errors import RecipeError

BY = ("", "label", "cells")
WEIGHTS, REPEAT = "weights", "repeat"
TRAIN = "train"


@dataclass(frozen=True, slots=True)
class Balance:
    """How often each class, or cell, is to be drawn, as weights of its members; members stay the same.

    Attributes:
        by: `label`, or `cells` of the strata: members of one have one weight in each split, so that draws with
            replacement by weight give each as often as any other. "": every member has weight 1.
        alpha: 1: all equally often; 0.5: in proportion to the roots of their numbers; towards 0: as they are.
        max_weight: No weight is above this, and what is capped is drawn less often than stated. None: no limit.
        weights: Label or cell -> how often it is to be drawn, relative to the others, which have 1.
        mode: `weights`: the weight is a column, for whoever draws by it. `repeat`: what is materialised has the samples
            of a rare class or cell several times. The one with the least weight of its split is there once, any other
            as many times as its weight is a multiple of that, rounded half to even, at most `max_weight` times.
        splits: Those that are balanced; in others every member has weight 1. []: all of them, but of mode `repeat`
            `train` alone: a sample that is evaluated twice counts twice.
    """

    by: str = field(default="", metadata={CHOICES: BY})
    alpha: float = 1.0
    max_weight: float | None = None
    weights: Mapping[str, float] = field(default_factory=dict)
    mode: str = field(default=WEIGHTS, metadata={CHOICES: (WEIGHTS, REPEAT)})
    splits: tuple[str, ...] = ()

    @property
    def repeats(self) -> bool:
        """Whether rows of what is materialised are repeated."""
        return self.mode == REPEAT

    def is_balanced(self, split: str) -> bool:
        """Return whether the members of a split are balanced."""
        if self.splits:
            return split in self.splits
        return not self.repeats or split == TRAIN


def check_balance(balance: Balance, where: str) -> None:
    """Refuse weights that cannot be.

    Raises:
        RecipeError: If a weight is 0, negative or no number, `alpha` is not within 0..1, or `by` is missing.
    """
    check_choices(balance, "balance", where)
    if balance == Balance():
        return
    if not balance.by:
        raise RecipeError(f"{where}: balance.by is missing: by = \"label\" or by = \"cells\"")
    if not 0 < balance.alpha <= 1:
        raise RecipeError(f"{where}: balance.alpha = {balance.alpha}; it is above 0, at most 1")
    stated = {f"weights.{name}": weight for name, weight in balance.weights.items()}
    stated |= {} if balance.max_weight is None else {"max_weight": balance.max_weight}
    for key, weight in stated.items():
        if not (math.isfinite(weight) and weight > 0):
            raise RecipeError(
                f"{where}: balance.{key} = {weight}; a weight is a number above 0: what is not to be drawn is left out "
                "with label.exclude, or a quota of 0"
            )
    if balance.repeats and balance.max_weight is not None and balance.max_weight < 1:
        raise RecipeError(f"{where}: balance.max_weight = {balance.max_weight}; every sample is there once at least")
