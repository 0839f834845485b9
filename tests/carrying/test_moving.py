"""Moving regions with pixels: drawing what was moved is moving what was drawn."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.carrying.regions import moved
from lakehouse.deriving.registry import transform_named
from lakehouse.deriving.transform import chain_of
from lakehouse.errors import RejectedInputError
from lakehouse.opinions.geometry import rle
from lakehouse.opinions.geometry.polygon import corners_of
from lakehouse.opinions.geometry.regions import mask_fields, mask_of_region
from lakehouse.opinions.reading.answer import Region
from loaders.decoding.placement import placed_by, turned
from tests.lanes import examples

ROWS, COLUMNS = 12, 16

CHAINS = (
    ["flip"], ["flip:axis=vertical"], ["rotate90"], ["rotate90:quarters=2"], ["rotate90:quarters=3"],
    ["crop:left=3,top=2,width=9,height=7"], ["crop:left=10,width=20"],
    ["flip", "crop:left=2,top=1,width=11,height=8", "rotate90"],
    ["rotate90", "flip", "rotate90:quarters=3"], ["crop:left=1,top=1,width=8,height=8", "flip:axis=vertical"],
)  # fmt: skip


def placement_of(texts, pixels, orientation=1):
    """Return what a chain makes of upright pixels, and the placement from the stored ones."""
    (made,) = chain_of(texts, transform_named).made(pixels)
    affine = np.array(made.affine).reshape(2, 3)
    affine[:, 2] += 0.5 - affine[:, :2].sum(axis=1) / 2
    height, width = pixels.shape[:2] if orientation < 5 else pixels.shape[1::-1]
    return made.value, placed_by(affine, height, width, made.value.shape[:2], orientation=orientation)


def mask_region(mask):
    return Region(**mask_fields(rle.encode(mask), *mask.shape))


@st.composite
def boxes(draw, rows=ROWS, columns=COLUMNS):
    x, y = draw(st.integers(0, columns - 1)), draw(st.integers(0, rows - 1))
    w, h = draw(st.integers(1, columns - x)), draw(st.integers(1, rows - y))
    return Region(kind="box", label="a", x=float(x), y=float(y), w=float(w), h=float(h), area=float(w * h))


@settings(max_examples=examples(40, long=800), deadline=None)
@given(st.sampled_from(CHAINS), st.integers(1, 8), st.lists(boxes(8, 8), min_size=1, max_size=3), st.data())
def test_moving_and_drawing_is_drawing_and_transforming(texts, orientation, found, data):
    # The stored picture is turned by EXIF; the chain gets the upright one.
    stored = np.zeros((ROWS, COLUMNS), bool)
    for each in found:
        alone = np.zeros((ROWS, COLUMNS), bool)
        alone[int(each.y) : int(each.y + each.h), int(each.x) : int(each.x + each.w)] = True
        stored |= alone
        drawn, placement = placement_of(texts, turned(alone, orientation).astype(np.uint8), orientation)
        result = moved([each], placement)
        after = np.zeros(drawn.shape, bool)
        for box in result.regions:
            assert box.area == box.w * box.h
            after[int(box.y) : int(box.y + box.h), int(box.x) : int(box.x + box.w)] = True
        assert np.array_equal(after, drawn.astype(bool))
        assert len(result.regions) + result.gone == 1
        assert result.cut == int(0 < after.sum() < alone.sum())
    # The same as masks, whatever their shape, and as polygons of as many parts as there are boxes.
    holes = np.array(data.draw(st.lists(st.booleans(), min_size=ROWS * COLUMNS, max_size=ROWS * COLUMNS)))
    stored &= holes.reshape(ROWS, COLUMNS)
    drawn, placement = placement_of(texts, turned(stored, orientation).astype(np.uint8), orientation)
    result = moved([mask_region(stored)], placement)
    held = [mask_of_region(each, *drawn.shape) for each in result.regions]
    assert np.array_equal(held[0] if held else np.zeros(drawn.shape, bool), drawn.astype(bool))


@settings(max_examples=examples(20, long=400), deadline=None)
@given(st.sampled_from(CHAINS), st.integers(1, 8), boxes())
def test_polygons_and_turned_boxes_keep_their_area_and_points_their_place(texts, orientation, box):
    alone = np.zeros((ROWS, COLUMNS), np.uint8)
    alone[int(box.y) : int(box.y + box.h), int(box.x) : int(box.x + box.w)] = 1
    drawn, placement = placement_of(texts, turned(alone, orientation), orientation)
    corners = corners_of(box.x, box.y, box.w, box.h, None)
    points = tuple({"x": x, "y": y} for x, y in corners.tolist())
    polygon = Region(kind="polygon", points=points, x=box.x, y=box.y, w=box.w, h=box.h, closed=True, area=box.area)
    for each in moved([polygon], placement).regions:
        assert (each.w * each.h, each.kind) == (drawn.sum(), "polygon")
    # Turned by 0 degrees or a quarter it is the same box; it is never cut.
    turned_box = dataclasses.replace(box, angle=90.0)
    for each in moved([turned_box], placement).regions:
        assert (each.w, each.h) == (box.w, box.h)
        seen = np.array(sorted(map(tuple, np.round(corners_of(each.x, each.y, each.w, each.h, each.angle), 5))))
        expected = placement.points(corners_of(box.x, box.y, box.w, box.h, 90.0))
        assert np.allclose(seen, sorted(map(tuple, np.round(expected, 5))))
    for place in [(box.x + 0.5, box.y + 0.5)]:
        alone[:] = 0
        alone[int(place[1]), int(place[0])] = 1
        drawn, placement = placement_of(texts, turned(alone, orientation), orientation)
        result = moved(
            [Region(kind="point", points=({"x": place[0], "y": place[1]},), x=place[0], y=place[1])], placement
        )
        assert [(math.floor(each.y), math.floor(each.x)) for each in result.regions] == list(
            zip(*np.nonzero(drawn), strict=True)
        )


@settings(max_examples=examples(15, long=300), deadline=None)
@given(st.integers(1, 4), st.integers(1, 4), boxes())
def test_resizing_scales(down, across, box):
    _, placement = placement_of(
        [f"resize:height={ROWS * down},width={COLUMNS * across}"], np.zeros((ROWS, COLUMNS), np.uint8)
    )
    (each,) = moved([box], placement).regions
    assert (each.x, each.y, each.w, each.h) == (box.x * across, box.y * down, box.w * across, box.h * down)
    mask = np.zeros((ROWS, COLUMNS), bool)
    mask[int(box.y) : int(box.y + box.h), int(box.x) : int(box.x + box.w)] = True
    (each,) = moved([mask_region(mask)], placement).regions
    expected = np.repeat(np.repeat(mask, down, axis=0), across, axis=1)
    assert np.array_equal(mask_of_region(each, *expected.shape), expected)


KEYPOINTS = Region(
    kind="keypoints", x=1.0, y=1.0, w=6.0, h=4.0, area=24.0,
    points=({"x": 2.0, "y": 2.0, "v": 2}, {"x": 6.0, "y": 3.0, "v": 1}, {"x": 0.0, "y": 0.0, "v": 0}),
)  # fmt: skip


def test_keypoints_change_places_in_a_mirror_only_if_told():
    _, flipped = placement_of(["flip"], np.zeros((ROWS, COLUMNS), np.uint8))
    (alone,) = moved([KEYPOINTS], flipped).regions
    assert [(p["x"], p["v"]) for p in alone.points] == [(14.0, 2), (10.0, 1), (0.0, 0)]
    (told,) = moved([KEYPOINTS], flipped, [(0, 1)]).regions
    assert [(p["x"], p["v"]) for p in told.points] == [(10.0, 1), (14.0, 2), (0.0, 0)]
    assert (told.x, told.y, told.w, told.h, told.area) == (9.0, 1.0, 6.0, 4.0, 24.0)
    # A quarter turn mirrors nothing, and neither does EXIF's mirror: it makes the picture what was seen.
    _, quarter = placement_of(["rotate90"], np.zeros((ROWS, COLUMNS), np.uint8))
    assert [p["v"] for p in moved([KEYPOINTS], quarter, [(0, 1)]).regions[0].points] == [2, 1, 0]
    _, mirrored = placement_of(["rotate90:quarters=4"], np.zeros((ROWS, COLUMNS), np.uint8), 2)
    assert [p["v"] for p in moved([KEYPOINTS], mirrored, [(0, 1)]).regions[0].points] == [2, 1, 0]
    _, cropped = placement_of(["crop:left=4"], np.zeros((ROWS, COLUMNS), np.uint8))
    result = moved([KEYPOINTS], cropped)
    assert [(p["x"], p["v"]) for p in result.regions[0].points] == [(0.0, 0), (2.0, 1), (0.0, 0)]
    assert (result.cut, result.gone, result.regions[0].area) == (1, 0, None)
    _, beyond = placement_of(["crop:left=9"], np.zeros((ROWS, COLUMNS), np.uint8))
    assert moved([KEYPOINTS], beyond).gone == 1
    with pytest.raises(RejectedInputError, match="3 keypoints, and a pair with 7"):
        moved([KEYPOINTS], flipped, [(0, 7)])


@pytest.mark.parametrize(
    ("region", "rule"),
    [
        (Region(kind="box", x=0.0, y=0.0, w=1.0, h=1.0, frame_start=3), "of_time"),
        (Region(kind="interval", t_start=0.0, t_end=1.0), "of_time"),
        (Region(kind="mask", mask_ref="s3://somewhere"), "mask_elsewhere"),
        (mask_region(np.ones((3, 3), bool)), "bad_mask"),
        (Region(kind="box", x=2.0, y=2.0, w=9.0, h=3.0, angle=30.0), "no_rectangle"),
        (Region(kind="cuboid"), "unknown_region"),
    ],
)  # fmt: skip
def test_what_cannot_be_moved_is_refused_by_rule(region, rule):
    _, placement = placement_of([f"resize:height={ROWS},width={COLUMNS * 3}"], np.zeros((ROWS, COLUMNS), np.uint8))
    with pytest.raises(RejectedInputError) as caught:
        moved([region], placement)
    assert caught.value.rule == rule


def test_maps_that_are_not_along_the_axes_are_refused():
    for affine in ([[1, 0.5, 0], [0, 1, 0]], [[0.8, -0.6, 0], [0.6, 0.8, 0]]):
        with pytest.raises(ValueError, match="not along the axes"):
            placed_by(np.array(affine, float), ROWS, COLUMNS, (ROWS, COLUMNS))
    assert placed_by(np.array([[1.0, 0, -40], [0, 1, 0]]), ROWS, COLUMNS, (ROWS, COLUMNS)) is None
