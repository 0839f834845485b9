"""From a region of a picture to the crop that is its sample. Pure."""

from __future__ import annotations

import math
from typing import NamedTuple

from lakehouse.datasets.recipes.sections.samples import Samples

MOST_PIXELS = 64_000_000
"""Of a crop: as many as a picture may have."""


class Crop(NamedTuple):
    """A box of a picture as stored, whole px; with `border = "pad"` it may reach beyond the picture."""

    left: int
    top: int
    width: int
    height: int


class Refused(NamedTuple):
    """Why a region gives no sample.

    Attributes:
        reason: As it stands in gold.dataset_exclusions.
        detail: The numbers behind it.
        crop: What would be its crop; None if nothing can be.
    """

    reason: str
    detail: str
    crop: Crop | None = None


def crop_of(bounds: tuple[float, float, float, float], height: int, width: int, samples: Samples) -> Crop | Refused:
    """Return the crop of a region, or why there is none.

    Every pixel that the region with its margin touches is in it.

    Args:
        bounds: x, y, w, h of the region, continuous px of the stored picture.
        height: Of the stored picture, px.
        width: Of the stored picture, px.
        samples: The recipe's.
    """
    x, y, w, h = bounds
    if not all(map(math.isfinite, bounds)):
        return Refused("region_without_extent", f"its bounds are {x:g}, {y:g}, {w:g}, {h:g}")
    seen_w, seen_h = min(x + w, width) - max(x, 0), min(y + h, height) - max(y, 0)
    if w <= 0 or h <= 0:
        return Refused("region_without_extent", f"it is {w:g} px wide and {h:g} px high")
    if seen_w <= 0 or seen_h <= 0:
        return Refused("region_outside", f"it lies at {x:g}, {y:g}, the picture is {width} x {height} px")
    around_x, around_y = w * samples.margin + samples.margin_px, h * samples.margin + samples.margin_px
    left, top = math.floor(x - around_x), math.floor(y - around_y)
    right, bottom = math.ceil(x + w + around_x), math.ceil(y + h + around_y)
    if samples.square:
        side = max(right - left, bottom - top)
        # The odd pixel goes to the right and below.
        left, top = left - (side - (right - left)) // 2, top - (side - (bottom - top)) // 2
        right, bottom = left + side, top + side
    if samples.border == "clip":
        left, top, right, bottom = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
    if (right - left) * (bottom - top) > MOST_PIXELS:
        return Refused("crop_too_large", f"{right - left} x {bottom - top} px, at most {MOST_PIXELS:,} altogether")
    crop = Crop(left, top, right - left, bottom - top)
    if min(seen_w, seen_h) < samples.min_side:
        return Refused("region_too_small", f"{seen_w:g} x {seen_h:g} px, min_side {samples.min_side:g}", crop)
    return crop
