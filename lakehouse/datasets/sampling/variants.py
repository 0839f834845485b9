"""What is drawn for the variants of one member: a function of its id, the seed and the variant's number. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lakehouse.datasets.recipes.sections.variants import Variants
from schemas.canonical import BUCKET_BITS, bucket, canonical_json

DIGITS = 3
"""Of factors: what is drawn is written into the member's row."""


def drawn(member: str, seed: int, variants: Variants, height: int, width: int) -> Iterator[dict[str, Any]]:
    """Yield the parameters of each variant of a member: `turn`, window (`left`, `top`, `width`, `height`), and of what
    is not as it was `mirror`, `contrast` and `gains`; `occurrence`, from 2, of one that came before.

    Args:
        member: Id of the member.
        seed: The recipe's.
        variants: The recipe's section.
        height: Of the upright picture, px.
        width: Of the upright picture, px.
    """
    seen: dict[str, int] = {}
    # Each pose comes as often as any other, in an order of the member's own.
    poses = sorted(variants.poses, key=lambda pose: bucket(f"{member}|pose {pose[0]} {pose[1]:d}", seed))
    for number in range(1, variants.copies + 1):
        lots = _Lots(f"{member}|variant {number}", seed)
        turn, mirror = poses[(number - 1) % len(poses)]
        high, wide = (width, height) if turn in (90, 270) else (height, width)
        share = variants.crop + (1 - variants.crop) * lots("share") if variants.crop < 1 else 1.0
        sides = max(1, round(high * share)), max(1, round(wide * share))
        found: dict[str, Any] = {
            "turn": turn,
            "left": int(lots("left") * (wide - sides[1] + 1)),
            "top": int(lots("top") * (high - sides[0] + 1)),
            "width": sides[1],
            "height": sides[0],
        }
        if mirror:
            found["mirror"] = True
        contrast = lots.around(variants.contrast, "contrast")
        common = lots.around(variants.brightness, "brightness")
        gains = [round(common * lots.around(variants.colour, name), DIGITS) for name in ("red", "green", "blue")]
        if contrast != 1:
            found["contrast"] = contrast
        if gains != [1, 1, 1]:
            found["gains"] = gains
        text = canonical_json(found)
        seen[text] = seen.get(text, 0) + 1
        # Of a picture of few px two may be drawn alike: each is a sample of its own, as equal regions are.
        yield found if seen[text] == 1 else found | {"occurrence": seen[text]}


class _Lots:
    """Numbers from 0 to below 1, each by its name."""

    def __init__(self, of: str, seed: int) -> None:
        self._of, self._seed = of, seed

    def __call__(self, name: str) -> float:
        return bucket(f"{self._of} {name}", self._seed) / (1 << BUCKET_BITS)

    def around(self, most: float, name: str) -> float:
        """Return a factor from 1 - most to 1 + most."""
        return round(1 + most * (2 * self(name) - 1), DIGITS) if most else 1.0
