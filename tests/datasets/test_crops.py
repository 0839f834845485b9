"""From a region to its crop: margins, squares, borders, and what gives none."""

from __future__ import annotations

import math

import pytest

from lakehouse.datasets.recipes.sections.samples import Samples
from lakehouse.datasets.sampling.crops import Crop, Refused, crop_of

HEIGHT, WIDTH = 40, 60


@pytest.mark.parametrize(("bounds", "samples", "crop"), [
    ((10, 5, 8, 4), {}, (10, 5, 8, 4)),
    # Every pixel that is touched.
    ((10.2, 5.9, 7.9, 4.0), {}, (10, 5, 9, 5)),
    ((10, 5, 8, 4), {"margin": 0.25}, (8, 4, 12, 6)),
    ((10, 5, 8, 4), {"margin_px": 3}, (7, 2, 14, 10)),
    ((10, 5, 8, 4), {"margin": 0.25, "margin_px": 1}, (7, 3, 14, 8)),
    ((10, 5, 8, 4), {"square": True}, (10, 3, 8, 8)),
    ((10, 5, 4, 7), {"square": True}, (9, 5, 7, 7)),
    # At the border.
    ((-3, 35, 10, 10), {}, (0, 35, 7, 5)),
    ((-3, 35, 10, 10), {"border": "pad"}, (-3, 35, 10, 10)),
    ((55, 0, 5, 9), {"square": True}, (53, 0, 7, 9)),
    ((55, 0, 5, 9), {"square": True, "border": "pad"}, (53, 0, 9, 9)),
])  # fmt: skip
def test_a_crop_is_its_region_with_what_is_asked_for_around_it(bounds, samples, crop):
    assert crop_of(bounds, HEIGHT, WIDTH, Samples(of="regions", **samples)) == Crop(*crop)


@pytest.mark.parametrize(("bounds", "samples", "reason"), [
    ((10, 5, 0, 4), {}, "region_without_extent"),
    ((10, 5, 4, -1), {}, "region_without_extent"),
    ((math.nan, 5, 4, 4), {}, "region_without_extent"),
    ((60, 5, 4, 4), {}, "region_outside"),
    ((10, -4, 4, 4), {"margin_px": 9}, "region_outside"),
    ((10, 5, 0.5, 4), {}, "region_too_small"),
    # What is beyond the picture is not seen, and a margin makes nothing larger.
    ((57, 5, 8, 8), {"min_side": 4, "margin_px": 9}, "region_too_small"),
    ((0, 0, 60, 40), {"margin_px": 100_000, "border": "pad"}, "crop_too_large"),
])  # fmt: skip
def test_a_region_of_which_there_is_too_little_or_too_much_gives_none(bounds, samples, reason):
    found = crop_of(bounds, HEIGHT, WIDTH, Samples(of="regions", **samples))
    assert isinstance(found, Refused)
    assert found.reason == reason
    assert found.detail
