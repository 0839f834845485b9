"""[variants]: samples that are made of pictures before training: mirrored, turned, cut, brighter."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lakehouse.errors import RecipeError

MOST_COPIES = 100
TURNS = (90, 180, 270)
SHARES = ("brightness", "contrast", "colour")


@dataclass(frozen=True, slots=True)
class Variants:
    """Samples that are made of the members of some splits, each a member of its own.

    What is drawn for a variant is a function of the member's id, the seed and the variant's number: more copies leave
    the first ones as they are. Each is made of the upright picture: turned, then cut, then mirrored, then coloured.

    Attributes:
        copies: Variants of each member; 0: none, and no other key of the section has a meaning.
        splits: Those whose members have variants. A variant is in the split of its member.
        keep_original: Whether the members are in beside their variants; false: they are left out as `only_variants`.
        mirror: Whether a variant may be mirrored left to right; half of them are.
        turns: Degrees by which a variant may be turned clockwise: 90, 180, 270; each, and none, equally often.
        crop: A variant is a window of the picture whose sides have a share of the picture's, drawn from this to 1, at a
            place that is drawn; 1: all of it.
        brightness: Values are multiplied by a number drawn from 1 - this to 1 + this.
        contrast: Their distance from 128 is, likewise.
        colour: Each of red, green and blue is, by a number of its own.
        min_visible: An object is dropped where a window leaves less than this share of its area, and always where it
            leaves nothing; 0 to 1.
    """

    copies: int = 0
    splits: tuple[str, ...] = ("train",)
    keep_original: bool = True
    mirror: bool = False
    turns: tuple[int, ...] = ()
    crop: float = 1.0
    brightness: float = 0.0
    contrast: float = 0.0
    colour: float = 0.0
    min_visible: float = 0.0

    @property
    def is_drawn(self) -> bool:
        """Whether any number is drawn: else there are only so many different variants of a picture."""
        return self.crop < 1 or any(getattr(self, name) for name in SHARES)

    @property
    def poses(self) -> tuple[tuple[int, bool], ...]:
        """Turn and mirror that a variant may have; without (0, False) where nothing else would change."""
        found = [(turn, mirrored) for turn in (0, *sorted(self.turns)) for mirrored in (False, True)[: 1 + self.mirror]]
        return tuple(found if self.is_drawn else found[1:])


def check_variants(variants: Variants, where: str) -> None:
    """Refuse variants that cannot be, are the picture itself, or are fewer than is asked for.

    Raises:
        RecipeError: If so; the message names the key.
    """
    problem = _problem(variants)
    if problem:
        raise RecipeError(f"{where}: variants.{problem}")


def _problem(variants: Variants) -> str:
    if not 0 <= variants.copies <= MOST_COPIES:
        return f"copies = {variants.copies}; it is from 0 to {MOST_COPIES}"
    if not variants.copies:
        usual = Variants()
        stated = [name for name in Variants.__dataclass_fields__ if getattr(variants, name) != getattr(usual, name)]
        return f"{stated[0]} changes nothing without variants.copies; add copies = 1, or leave it out" if stated else ""
    if not variants.splits or len(set(variants.splits)) < len(variants.splits):
        return f"splits = {list(variants.splits)}; name each split once whose members have variants"
    if not set(variants.turns) <= set(TURNS) or len(set(variants.turns)) < len(variants.turns):
        return f"turns = {list(variants.turns)}; they are of 90, 180 and 270 degrees, each once"
    if not 0.05 <= variants.crop <= 1:
        return f"crop = {variants.crop}; it is a share of the sides from 0.05 to 1"
    for name in SHARES:
        if not (math.isfinite(getattr(variants, name)) and 0 <= getattr(variants, name) < 1):
            return f"{name} = {getattr(variants, name)}; it is from 0 to below 1"
    if not 0 <= variants.min_visible <= 1:
        return f"min_visible = {variants.min_visible}; it is a share from 0 to 1"
    if variants.min_visible and variants.crop == 1:
        return "min_visible changes nothing without variants.crop, which alone cuts anything off"
    if not variants.poses:
        return f"copies = {variants.copies}, and nothing says how they differ: mirror, turns, crop, brightness ..."
    if not variants.is_drawn and variants.copies > len(variants.poses):
        return (
            f"copies = {variants.copies}, and mirror and turns give {len(variants.poses)} different ones; ask for as "
            "many, or add crop, brightness, contrast or colour"
        )
    return ""
