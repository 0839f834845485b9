"""A crop has the pixels of its picture: those that Pillow cuts, and those that the reader gives."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from loaders.decoding.pictures import decode_new
from loaders.errors import DecodeError
from loaders.publishing.crops import crop_png

NOISE = np.random.default_rng(3).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def encoded(form: str, *, mode: str = "RGB", orientation: int = 1, **options: object) -> bytes:
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(NOISE).convert(mode).save(file, form, exif=exif, **options)
    return file.getvalue()


@pytest.mark.parametrize("raw", [
    pytest.param(encoded("jpeg"), id="jpeg"),
    pytest.param(encoded("jpeg", progressive=True), id="progressive"),
    pytest.param(encoded("jpeg", mode="L"), id="grey-jpeg"),
    pytest.param(encoded("png"), id="png"),
    pytest.param(encoded("png", mode="P"), id="palette"),
    pytest.param(encoded("png", mode="RGBA"), id="alpha"),
    pytest.param(encoded("webp", lossless=True), id="webp"),
    pytest.param(encoded("tiff"), id="tiff"),
])  # fmt: skip
@pytest.mark.parametrize("box", [(0, 0, 60, 40), (7, 3, 20, 30), (59, 39, 1, 1), (-5, -4, 20, 9), (50, 30, 30, 30)])
def test_a_crop_is_pillows_and_the_readers_to_the_pixel(raw, box):
    left, top, width, height = box
    found = np.asarray(Image.open(io.BytesIO(crop_png(raw, *box, max_pixels=10_000))))
    whole = Image.open(io.BytesIO(raw)).convert("RGB")
    # Pillow's crop is black, too, where it reaches beyond the picture.
    assert np.array_equal(found, np.asarray(whole.crop((left, top, left + width, top + height))))
    inside = decode_new(raw, 3, max_pixels=10_000)[max(0, top) : top + height, max(0, left) : left + width]
    at = max(0, -top), max(0, -left)
    assert np.array_equal(found[at[0] : at[0] + inside.shape[0], at[1] : at[1] + inside.shape[1]], inside)


def test_a_crop_is_stored_as_its_picture_is_and_turns_upright_with_it():
    raw = encoded("jpeg", orientation=6)
    crop = Image.open(io.BytesIO(crop_png(raw, 10, 5, 20, 8, max_pixels=10_000)))
    assert crop.size == (20, 8)
    assert crop.getexif()[0x0112] == 6
    assert 0x0112 not in Image.open(io.BytesIO(crop_png(encoded("jpeg"), 10, 5, 20, 8, max_pixels=10_000))).getexif()


@pytest.mark.parametrize(("raw", "box", "found"), [
    pytest.param(encoded("jpeg"), (0, 0, 200, 60), "200x60 pixels", id="box"),
    pytest.param(encoded("jpeg", quality=5)[:400], (0, 0, 4, 4), "no picture, or a damaged one", id="cut-off"),
    pytest.param(b"GIF89a no picture", (0, 0, 4, 4), "damaged GIF", id="no-picture"),
])  # fmt: skip
def test_what_is_damaged_or_too_large_is_refused(raw, box, found):
    with pytest.raises(DecodeError, match=found):
        crop_png(raw, *box, max_pixels=10_000)
