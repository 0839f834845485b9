"""Overlaps of shapes: by hand, and against pycocotools and OpenCV on random ones."""

from __future__ import annotations

import numpy as np
import pytest

from lakehouse.opinions.geometry import rle
from lakehouse.overlap.boxes import iou
from lakehouse.overlap.keypoints import COCO_SIGMAS, oks, oks_of_equals, sigmas_of
from lakehouse.overlap.masks import mask_iou
from lakehouse.overlap.stretches import stretch_iou
from lakehouse.overlap.tracks import Track, track_iou
from lakehouse.overlap.turned import turned_iou

RNG = np.random.default_rng(7)


def boxes(count: int) -> np.ndarray:
    return np.concatenate([RNG.uniform(0, 60, (count, 2)), RNG.uniform(1, 50, (count, 2))], axis=1)


def test_boxes_and_crowds_overlap_as_pycocotools_says() -> None:
    coco = pytest.importorskip("pycocotools.mask")
    one, other, crowds = boxes(20), boxes(15), RNG.random(15) < 0.4
    np.testing.assert_allclose(iou(one, other, crowds_M=crowds), coco.iou(one, other, crowds.astype(np.uint8)))
    assert iou(np.zeros((0, 4)), other).shape == (0, 15)


def test_two_boxes_without_area_overlap_where_they_are_the_same() -> None:
    lines = np.array([[5.0, 5, 0, 3], [6, 5, 0, 3]])
    assert iou(lines, lines).tolist() == [[1, 0], [0, 1]]
    turned = np.array([[5.0, 5, 0, 3, 30], [6, 5, 0, 3, 30]])
    assert turned_iou(turned, turned).tolist() == [[1, 0], [0, 1]]


def test_turned_boxes_overlap_as_opencv_says() -> None:
    cv2 = pytest.importorskip("cv2")
    one, other = (np.column_stack([boxes(12), RNG.uniform(-200, 200, 12)]) for _ in range(2))

    def plain(a: np.ndarray, b: np.ndarray) -> float:
        rectangles = [((x + w / 2, y + h / 2), (w, h), angle) for x, y, w, h, angle in (a, b)]
        _, points = cv2.rotatedRectangleIntersection(*rectangles)
        shared = 0.0 if points is None else cv2.contourArea(cv2.convexHull(points))
        return float(shared / (a[2] * a[3] + b[2] * b[3] - shared))

    wanted = [[plain(a, b) for b in other] for a in one]
    np.testing.assert_allclose(turned_iou(one, other), wanted, atol=2e-4)
    assert np.count_nonzero(wanted) > 40


def test_a_turned_box_is_the_same_by_its_symmetries() -> None:
    # Two squares of side 2 about one centre, one turned by 45 degrees, share an octagon: 8 (sqrt 2 - 1).
    octagon = 8 * (2**0.5 - 1)
    found = turned_iou(np.array([[0.0, 0, 2, 2, 0]]), np.array([[0.0, 0, 2, 2, 45]]))
    assert found[0, 0] == pytest.approx(octagon / (8 - octagon))
    box = np.array([[10.0, 20, 30, 8, 25]])
    others = np.array([[10.0, 20, 30, 8, 205], [10.0, 20, 30, 8, -155], [21.0, 9, 8, 30, 115], [10.0, 20, 30, 8, -25]])
    assert turned_iou(box, others)[0, :3] == pytest.approx([1, 1, 1])
    assert turned_iou(box, others)[0, 3] < 0.7
    assert turned_iou(others, others).trace() == pytest.approx(4)


def test_masks_and_crowds_overlap_as_pycocotools_says() -> None:
    coco = pytest.importorskip("pycocotools.mask")
    one, other = (RNG.random((6, 9, 11)) < RNG.random((6, 1, 1)) for _ in range(2))
    crowds = np.array([0, 1, 0, 1, 0, 0], bool)
    theirs = [[coco.encode(np.asfortranarray(each, np.uint8)) for each in some] for some in (one, other)]
    found = mask_iou([rle.encode(each) for each in one], [rle.encode(each) for each in other], crowds_M=crowds)
    np.testing.assert_allclose(found, coco.iou(*theirs, crowds.astype(np.uint8)))
    empty = rle.encode(np.zeros((9, 11)))
    assert mask_iou([empty], [empty])[0, 0] == 0


def test_keypoints_are_as_similar_as_coco_defines_it() -> None:
    sigmas = sigmas_of(["nose", "left_eye"], 2)
    assert sigmas.tolist() == [COCO_SIGMAS["nose"], COCO_SIGMAS["eye"]]
    truth = np.array([[[10.0, 10, 2], [0, 0, 0]]])
    # A root of the area of 10 px, d = 1 px: exp(-1 / (2 * 100 * (2 * 0.026)²)).
    found = oks(np.array([[[11.0, 10, 2], [500, 500, 2]]]), truth, np.array([100.0]), np.zeros((1, 4)), sigmas)
    assert found[0, 0] == pytest.approx(np.exp(-1 / (200 * 0.052**2)))
    with pytest.raises(ValueError, match="3 sigmas for 2"):
        sigmas_of([], 2, [1, 1, 1])


def test_annotators_are_compared_by_the_points_that_both_labelled() -> None:
    one = np.array([[[10.0, 10, 2], [20, 20, 2]], [[0, 0, 0], [20, 20, 1]]])
    other = np.array([[[10.0, 10, 1], [0, 0, 0]]])
    areas, where = (np.array([100.0, 100]), np.array([100.0])), np.array([[0.0, 0, 10, 10], [5, 0, 10, 10]])
    found = oks_of_equals(one, other, areas, (where, where[:1]), sigmas_of([], 2))
    # The second has no point in common: half of its box.
    assert found[:, 0] == pytest.approx([1.0, 50 / 150])
    back = oks_of_equals(other, one, areas[::-1], (where[:1], where), sigmas_of([], 2))
    assert back.T.tolist() == found.tolist()


def test_stretches_share_what_lies_in_both() -> None:
    found = stretch_iou(np.array([[0.0, 4], [3, 3]]), np.array([[2.0, 6], [4, 5], [3, 3]]))
    assert found.tolist() == [[2 / 6, 0, 0], [0, 0, 1]]


def test_tracks_share_their_frames() -> None:
    still = np.array([[0.0, 0, 10, 10]])
    one = Track(np.arange(4), np.repeat(still, 4, axis=0))
    late = Track(np.arange(2, 6), np.repeat(np.array([[5.0, 0, 10, 10]]), 4, axis=0))
    # Two frames of half a box each, of eight boxes less that.
    assert track_iou([one], [one, late])[0] == pytest.approx([1, 100 / 700])
    assert track_iou([], [late]).shape == (0, 1)
