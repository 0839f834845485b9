"""[duplicates]: what looks the same stays on one side of a split, or is in once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lakehouse.datasets.recipes.sections.choice import CHOICES, check_choices
from lakehouse.errors import RecipeError

DISTANCES: Mapping[str, float] = {"phash": 8, "dhash": 4, "embedding": 0.02}
"""Measure -> the distance that is meant where none is stated; lakehouse/DECISIONS.md has the figures behind it."""

FURTHEST: Mapping[str, float] = {"phash": 12, "dhash": 12, "embedding": 0.5}
"""Measure -> the largest distance that can be stated: beyond it, pictures that have nothing in common are near."""

ACTIONS = ("group", "drop")


@dataclass(frozen=True, slots=True)
class Duplicates:
    """What looks the same stays on one side of a split, or is in once.

    Attributes:
        near: What is compared: `phash` (pictures; finds what was encoded again, resized, brightened or cropped by up to
            5 %), `dhash` (pictures, one hash of the whole; no crops), `embedding` (vectors that `actor` answered to
            `question`); "" for nothing. All entities of the lake are compared, not those alone that are selected.
        distance: At most so far are two near: bits of the hash (phash 0 to 12, dhash 0 to 12), or 1 - cosine of the
            vectors (0 to 0.5). None: 8, 4 and 0.02.
        action: `group`: clusters of near ones join the leak groups, so that none is in two splits. `drop` does that
            too and keeps one of each cluster: that with most pixels, of several the one that the lake has had longest;
            the others are left out with reason near_duplicate.
        question: Of `embedding`: the question whose answers are the vectors.
        actor: Of `embedding`: whose answers.
    """

    near: str = field(default="", metadata={CHOICES: ("", *DISTANCES)})
    distance: float | None = None
    action: str = field(default="group", metadata={CHOICES: ACTIONS})
    question: str = ""
    actor: str = ""

    @property
    def within(self) -> float:
        """The distance that counts."""
        return DISTANCES[self.near] if self.distance is None else self.distance


def check_duplicates(duplicates: Duplicates, where: str) -> None:
    """Refuse duplicates that cannot be looked for.

    Raises:
        RecipeError: If the measure is unknown, its distance is out of range, or keys do not belong together.
    """
    check_choices(duplicates, "duplicates", where)
    near = duplicates.near
    if not near:
        if duplicates != Duplicates():
            raise RecipeError(f'{where}: duplicates.near is missing; say what is compared, as near = "phash"')
        return
    least, most = 0, FURTHEST[near]
    if not least <= duplicates.within <= most:
        raise RecipeError(
            f"{where}: duplicates.distance = {duplicates.within:g}; of {near} it is within {least}..{most:g}, "
            f"usually {DISTANCES[near]:g}"
        )
    if near != "embedding" and duplicates.within != int(duplicates.within):
        raise RecipeError(f"{where}: duplicates.distance = {duplicates.within:g}; of {near} it is a number of bits")
    stated = [bool(duplicates.question), bool(duplicates.actor)]
    if stated != [near == "embedding"] * 2:
        raise RecipeError(
            f"{where}: duplicates.question and duplicates.actor say whose embeddings are compared: both belong to "
            'near = "embedding", and to nothing else'
        )
