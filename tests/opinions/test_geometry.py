"""Geometry of regions, beside pycocotools: masks, polygons and turned boxes, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from pycocotools import mask as oracle

from lakehouse.errors import RejectedInputError
from lakehouse.opinions.geometry import rle
from lakehouse.opinions.geometry.polygon import area_of, bounds_of, box_of, corners_of
from lakehouse.opinions.geometry.raster import fill, runs_of
from lakehouse.opinions.geometry.regions import mask_fields, mask_of_region, parts_of, polygon_fields
from lakehouse.opinions.reading.answer import Region

# pycocotools 2.0.11 warns of its own arrays with numpy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def test_f8_a_mask_is_counted_column_by_column():
    assert rle.encode([[0, 1, 1], [0, 0, 1]]).tolist() == [2, 1, 1, 2]
    assert rle.compress([2, 1, 1, 2]) == "2111"
    assert rle.decode(rle.decompress("2111"), 2, 3).astype(int).tolist() == [[0, 1, 1], [0, 0, 1]]


def test_f8_masks_of_every_shape_are_those_of_pycocotools():
    random = np.random.default_rng(14)
    for _ in range(200):
        height, width = map(int, random.integers(1, 60, 2))
        mask = (random.random((height, width)) < random.random()).astype(np.uint8)
        theirs, runs = oracle.encode(np.asfortranarray(mask)), rle.encode(mask)
        assert rle.compress(runs) == theirs["counts"].decode()
        assert rle.decompress(theirs["counts"].decode()).tolist() == runs.tolist()
        assert (rle.decode(runs, height, width) == mask).all()
        assert (rle.area(runs), list(rle.bounds(runs, height))) == (oracle.area(theirs), list(oracle.toBbox(theirs)))


def test_f9_a_polygon_fills_the_pixels_that_pycocotools_fills():
    square = np.array([[1, 1], [5, 1], [5, 5], [1, 5]], float)
    assert rle.area(runs_of([square], 10, 10)) == 16
    random = np.random.default_rng(9)
    for turn in range(600):
        height, width = map(int, random.integers(1, 80, 2))
        size = [width * 1.4, height * 1.4]
        points = random.random((int(random.integers(3, 12)), 2)) * size - [width * 0.2, height * 0.2]
        points = (points, np.round(points), np.round(points * 2) / 2)[turn % 3]
        parts = [points, points[::-1] + 3.0][: 1 + turn % 2]
        theirs = oracle.merge(oracle.frPyObjects([each.ravel().tolist() for each in parts], height, width))
        assert (fill(parts, height, width) == oracle.decode(theirs)).all()


@pytest.mark.parametrize(("runs", "height", "width"), [([2, 1], 2, 2), ([5, -1], 2, 2), ([4], 1 << 20, 1 << 20)])
def test_runs_that_are_no_mask_of_the_size_are_refused(runs, height, width):
    with pytest.raises(RejectedInputError, match="bad_mask"):
        rle.decode(runs, height, width)


@pytest.mark.parametrize("text", ["2é", "2!", "o", "oooooooo0"])
def test_texts_that_are_no_runs_are_refused(text):
    with pytest.raises(RejectedInputError, match="bad_mask"):
        rle.decompress(text)


def test_empty_masks_have_no_bounds():
    assert mask_fields([12], 3, 4) == {
        "kind": "mask", "mask_encoding": "coco_rle", "mask_counts": "<", "mask_h": 3, "mask_w": 4,
        "x": 0.0, "y": 0.0, "w": 0.0, "h": 0.0, "area": 0.0,
    }
    assert (bounds_of([]), area_of([])) == ((0, 0, 0, 0), 0)


def test_a_polygon_of_two_parts_is_one_region_and_comes_back_as_two_parts():
    parts = [np.array([[0, 0], [4, 0], [4, 4]], float), np.array([[10, 10], [12, 10], [12, 12], [10, 12]], float)]
    region = Region(**polygon_fields(parts))
    assert (region.x, region.y, region.w, region.h, region.part_sizes) == (0, 0, 12, 12, (3, 4))
    assert [each.tolist() for each in parts_of(region)] == [each.tolist() for each in parts]
    assert area_of(parts) == 8 + 4
    assert mask_of_region(region, 20, 20).sum() == oracle.area(
        oracle.merge(oracle.frPyObjects([each.ravel().tolist() for each in parts], 20, 20))
    )


def test_a_turned_box_has_its_corners_clockwise_about_its_centre_and_comes_back():
    assert corners_of(0, 0, 4, 2, 90).round(9).tolist() == [[3, -1], [3, 3], [1, 3], [1, -1]]
    assert box_of(corners_of(10, 20, 30, 40, -147)) == pytest.approx((10, 20, 30, 40, -147))
    assert corners_of(1, 2, 3, 4, None).tolist() == [[1, 2], [4, 2], [4, 6], [1, 6]]


FAR = 3e6


@pytest.mark.parametrize(("corners", "filled"), [
    ([[-FAR, -FAR], [FAR, -FAR], [FAR, FAR], [-FAR, FAR]], 40 * 30),
    ([[0, 0], [1e300, 0], [1e300, 1e300], [0, 1e18]], 40 * 30),
    ([[20, -FAR], [FAR, -FAR], [FAR, FAR], [20, FAR]], 20 * 30),
    ([[-FAR, 10], [FAR, 10], [FAR, 20], [-FAR, 20]], 40 * 10),
    ([[-FAR, -FAR], [-5, -5], [-FAR, 5]], 0),
])  # fmt: skip
def test_a_polygon_far_beyond_its_frame_is_cut_off_beside_it(corners, filled):
    assert rle.area(runs_of([np.array(corners, float)], 30, 40)) == filled


def test_a_large_frame_takes_no_memory_and_one_beyond_all_masks_is_refused():
    triangle = np.array([[0, 0], [9, 0], [9, 9]], float)
    runs = runs_of([triangle], 1 << 15, 1 << 15)
    assert (rle.area(runs), runs.sum()) == (rle.area(runs_of([triangle], 10, 10)), 1 << 30)
    with pytest.raises(RejectedInputError, match="bad_size"):
        runs_of([triangle], 2**31 - 1, 2**31 - 1)
    with pytest.raises(RejectedInputError, match="bad_polygon"):
        runs_of([np.array([[0, -5], [1, -5], [1, 2e9], [0, 2e9]], float)], 1 << 29, 2)


def test_an_outline_that_is_drawn_in_pieces_fills_the_same(monkeypatch):
    points = np.random.default_rng(3).random((9, 2)) * [40, 30]
    whole = fill([points], 30, 40)
    monkeypatch.setattr("lakehouse.opinions.geometry.raster.CUT_STEPS", 7)
    assert (fill([points], 30, 40) == whole).all()


def test_a_mask_in_a_frame_has_the_runs_of_the_whole_frame():
    dice = np.random.default_rng(3)
    for left, top, share in ((0, 0, 0.5), (3, 1, 0.5), (4, 2, 1.0), (0, 0, 0.0), (2, 0, 0.9)):
        inside = dice.random((4, 3)) < share
        whole = np.zeros((6, 7), bool)
        whole[top : top + 4, left : left + 3] = inside
        assert rle.encode_inside(inside, left, top, 6, 7).tolist() == rle.encode(whole).tolist()
    column = np.ones((6, 2), bool)
    assert rle.encode_inside(column, 5, 0, 6, 7).tolist() == [30, 12]
