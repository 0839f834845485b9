"""Codec coco_rle: run lengths that pycocotools wrote, and what is none."""

from __future__ import annotations

import json

import numpy as np
import pytest

from loaders.decoding.masks import decode_mask, decode_masks, read_runs, run_lengths
from loaders.errors import DecodeError

MOST = 1 << 20


def stored(size, *counts):
    return json.dumps({"size": list(size), "counts": list(counts)}).encode()


def test_masks_are_those_of_pycocotools_for_all_kinds_of_runs():
    oracle = pytest.importorskip("pycocotools.mask")
    random = np.random.default_rng(3)
    shapes = ((1, 1, 0.5), (7, 5, 0.5), (64, 48, 0.1), (300, 200, 0.999), (3, 900, 0.0), (9, 9, 1.0))
    for height, width, share in shapes:
        masks = (random.random((3, height, width)) < share).astype(np.uint8)
        masks[0, : height // 2] = 1  # long runs: several characters each
        runs = oracle.encode(np.asfortranarray(masks.transpose(1, 2, 0)))
        raw = stored((height, width), *(each["counts"].decode() for each in runs))
        found = decode_masks(raw, max_pixels=MOST)
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, masks)


def test_a_mask_known_by_hand_goes_down_the_columns():
    # 2 rows, 3 columns; 0s: 1, 1s: 2, 0s: 3. Characters are 48 + number.
    np.testing.assert_array_equal(run_lengths("123"), [1, 2, 3])
    np.testing.assert_array_equal(decode_mask("123", 2, 3), [[0, 1, 0], [1, 0, 0]])


def test_no_object_has_the_frame_of_its_picture():
    assert decode_masks(stored((4, 5)), max_pixels=MOST).shape == (0, 4, 5)


@pytest.mark.parametrize(("raw", "message"), [
    (b"", "no masks"),
    (b"[]", "no masks"),
    (b'{"size": [2, 3]}', "no masks"),
    (stored((0, 3)), "H, W from 1"),
    (stored((2, True)), "H, W from 1"),
    (stored((2, 3), 5), "H, W from 1"),
    (stored((2, 3), "12"), "mask 0: the runs do not fill 2 x 3"),
    (stored((2, 3), "123", "124"), "mask 1: the runs do not fill"),
    (stored((2, 3), ""), "the runs do not fill"),
    (stored((2, 3), "O6"), "the runs do not fill"),
    (stored((2, 3), "Q"), "do not end"),
    (stored((2, 3), "P" * 9 + "0"), "do not end"),
    (stored((2, 3), "é"), "none of COCO's"),
    (stored((2, 3), "~"), "none of COCO's"),
    (b"[" * 100_000, "no masks"),
])  # fmt: skip
def test_what_is_no_mask_is_refused(raw, message):
    with pytest.raises(DecodeError, match=message):
        decode_masks(raw, max_pixels=MOST)


@pytest.mark.parametrize("raw", [
    stored((1 << 20, 1 << 20), "0"),
    stored((1 << 10, 1 << 10), *["0"] * 2000),
    stored((1, 1), *["0"] * 70_000),
], ids=["frame", "bytes", "number"])  # fmt: skip
def test_bombs_are_refused_before_memory_is_taken(raw):
    with pytest.raises(DecodeError) as caught:
        read_runs(raw, max_pixels=MOST)
    assert caught.value.rule == "too_many_pixels"
