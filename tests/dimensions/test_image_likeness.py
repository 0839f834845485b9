"""image_likeness: hashes of the whole picture and of its corner windows, the same digits on every machine."""

from __future__ import annotations

import numpy as np
from PIL import Image

from lakehouse.extractors.image_likeness import EDGE_BITS, PHASH_BITS, VIEWS, measure_likeness
from lakehouse.media.view import ImageView
from tests.datasets.planted import png

GOLDEN = {
    "phash": "5f1d9f12d7bd620e1f1d9f16bde1464c57158b1395f8420e5f199f12bfbdf20e57158d1a17b5f38a",
    "edge_hash": (
        "787ab36656499d756241f86cd0c36f4267e2787ab9f25664cdb17245fc267c61673267725072b36654e9995562"
        "c1f86cdcc14f666668783ab356764d9d7126e07d68e0436e0e67e25872a3466cc919756ad079e8c096ce48e7a2"
    ),
}


def measured(picture: Image.Image):
    return measure_likeness(ImageView(png(picture)))


def pattern(width: int, height: int) -> Image.Image:
    spots = Image.fromarray(np.random.default_rng(0).integers(0, 256, (12, 12, 3)).astype(np.uint8))
    return spots.resize((width, height), Image.Resampling.BILINEAR)


def bits(one: str, other: str) -> int:
    return (int(one, 16) ^ int(other, 16)).bit_count()


def test_golden_values():
    assert measured(pattern(40, 30)) == GOLDEN


def test_a_view_has_its_own_digits():
    found = measured(pattern(200, 100))
    assert len(found["phash"]) == VIEWS * PHASH_BITS // 4
    assert len(found["edge_hash"]) == VIEWS * EDGE_BITS // 4
    digits = PHASH_BITS // 4
    views = [found["phash"][start : start + digits] for start in range(0, VIEWS * digits, digits)]
    assert len(set(views)) == VIEWS


def test_a_window_at_a_corner_is_what_a_crop_leaves():
    whole = pattern(200, 100).resize((100, 100))
    found, cropped = measured(whole), measured(whole.crop((5, 5, 100, 100)))
    digits = PHASH_BITS // 4
    assert bits(found["phash"][4 * digits :], cropped["phash"][:digits]) <= 2


def test_a_flat_picture_has_none_nor_one_of_noise_alone():
    noise = np.random.default_rng(0).integers(126, 131, (64, 64, 3)).astype(np.uint8)
    assert measured(Image.new("RGB", (8, 8), (7, 7, 7))) == {}
    assert measured(Image.fromarray(noise)) == {}
    assert measured(Image.new("RGB", (1, 1))) == {}


def test_a_large_picture_is_like_itself_made_small():
    large, small = (measured(pattern(60, 40).resize(size)) for size in ((1200, 800), (120, 80)))
    assert bits(large["phash"][:16], small["phash"][:16]) <= 2
