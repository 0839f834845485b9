"""Pictures encoded anew are what Pillow makes of them step by step, and say where their pixels came to lie."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from loaders.errors import DecodeError
from loaders.publishing.picture_encoding import encoded, encoder_of, is_enough, placement_of, stays, stored_facts
from loaders.publishing.picture_form import INTERPOLATIONS, PictureForm

NOISE = np.random.default_rng(5).integers(0, 256, (48, 90, 3), dtype=np.uint8)
PICTURE = Image.fromarray(NOISE)
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip


def file(image=PICTURE, kind="PNG", *, orientation=1, **more) -> bytes:
    out = io.BytesIO()
    if orientation != 1:
        exif = Image.Exif()
        exif[0x0112] = orientation
        more["exif"] = exif
    image.save(out, kind, **more)
    return out.getvalue()


def pixels(raw: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(raw)).convert("RGB"))


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("size", [(20, 30), (30, 20), (100, 70)])
def test_pixels_are_those_of_pillow(size, interpolation):
    sides, how = size[::-1], Image.Resampling[interpolation.upper()]
    wanted = {
        "stretch": PICTURE.resize(sides, how),
        "cover": ImageOps.fit(PICTURE, sides, how),
        "contain": ImageOps.pad(PICTURE, sides, how, color=(7, 7, 7)),
    }
    for fit, image in wanted.items():
        form = PictureForm(size=size, fit=fit, padding=7, interpolation=interpolation, codec="png")
        found = pixels(encoded(file(), form))
        assert found.shape == (*size, 3)
        if fit == "contain":
            # Bars of an odd number of rows: Pillow's middle is rounded, ours is the reader's Letterbox.
            place = placement_of(form, 48, 90, 1).place
            assert (found == 7).all(axis=2).sum() >= size[0] * size[1] - place.height * place.width
            drawn = found[place.top : place.top + place.height, place.left : place.left + place.width]
            assert (drawn == np.asarray(PICTURE.resize((place.width, place.height), how))).all()
            assert abs(place.height - ImageOps.contain(PICTURE, sides).height) <= 1
        else:
            assert (found == np.asarray(image)).all(), fit


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("fit", ["stretch", "cover", "contain"])
def test_a_mark_in_the_picture_lies_where_the_placement_says_after_turning(orientation, fit):
    dot = np.zeros((48, 90, 3), np.uint8)
    dot[8:16, 60:70] = 255
    form = PictureForm(size=(101, 103), fit=fit, interpolation="nearest", codec="png")
    found = pixels(encoded(file(Image.fromarray(dot), orientation=orientation), form))
    placement = placement_of(form, 48, 90, orientation)
    corners = placement.points(np.array([[60.0, 8.0], [70.0, 16.0]]))
    low, high = corners.min(axis=0), corners.max(axis=0)
    rows, columns = np.nonzero(found[..., 0])
    if fit == "cover" and (low[0] >= 103 or high[0] <= 0 or low[1] >= 101 or high[1] <= 0):
        assert not len(rows)
        return
    seen = np.clip([low[0], low[1], high[0], high[1]], 0, [103, 101, 103, 101])
    assert np.abs(np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]) - seen).max() <= 0.5
    mask = placement.mask(dot[..., 0])
    assert (mask[..., None] == found[..., :1]).all()


@pytest.mark.parametrize("orientation", [2, 3, 4, 5, 6, 7, 8])
def test_orientation_is_applied_once_and_left_out(orientation):
    found = Image.open(io.BytesIO(encoded(file(orientation=orientation), PictureForm(codec="png"))))
    assert (np.asarray(found) == np.asarray(PICTURE.transpose(TURNS[orientation]))).all()
    assert not found.getexif()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF"])
def test_keep_keeps_codecs_and_leaves_bytes_alone_where_nothing_is_to_be_done(kind):
    raw = file(kind=kind)
    assert encoded(raw, PictureForm(max_side=90)) == raw
    smaller = Image.open(io.BytesIO(encoded(raw, PictureForm(max_side=45))))
    assert smaller.size == (45, 24)
    assert smaller.format == (kind if kind in ("JPEG", "PNG", "WEBP") else "PNG")


@pytest.mark.parametrize(("codec", "kind"), [("jpeg", "JPEG"), ("png", "PNG"), ("webp", "WEBP")])
def test_a_stated_codec_encodes_every_picture_and_gives_the_same_bytes_again(codec, kind):
    form = PictureForm(codec=codec, quality=80)
    raw = file(kind="JPEG", quality=95)
    once = encoded(raw, form)
    assert once == encoded(raw, form)
    assert once != raw
    assert Image.open(io.BytesIO(once)).format == kind
    if codec != "png":
        assert len(encoded(raw, PictureForm(codec=codec, quality=10))) < len(once)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK", "1"])
def test_colours_are_those_that_the_reader_delivers(mode):
    from loaders.decoding.pictures import decode_new

    raw = file(PICTURE.convert(mode), "TIFF" if mode == "CMYK" else "PNG", icc_profile=b"profile")
    stored = Image.open(io.BytesIO(encoded(raw, PictureForm(codec="png"))))
    assert (np.asarray(stored) == decode_new(memoryview(raw), 3, max_pixels=1 << 20)).all()
    assert (stored.mode, stored.info.get("icc_profile")) == ("RGB", None)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (3, 7)])
@pytest.mark.parametrize("form", [
    PictureForm(size=(16, 24), fit="cover"), PictureForm(size=(16, 24), fit="contain"), PictureForm(size=(16, 24)),
    PictureForm(max_side=10), PictureForm(codec="jpeg"),
])  # fmt: skip
def test_pictures_of_any_proportions_become_what_the_form_says(shape, form):
    raw = file(Image.new("RGB", shape[::-1], (1, 2, 3)))
    placement = placement_of(form, *shape, 1)
    assert pixels(encoded(raw, form)).shape[:2] == placement.canvas
    assert stays(form, placement) == (encoded(raw, form) == raw)
    if form.max_side:
        assert max(placement.canvas) <= 10


def test_damaged_and_too_large_pictures_are_refused():
    raw = file(kind="JPEG")
    with pytest.raises(DecodeError, match="damaged JPEG"):
        encoded(raw[: len(raw) // 2], PictureForm(size=(8, 8)))
    with pytest.raises(DecodeError, match="max_pixels"):
        encoded(raw, PictureForm(size=(8, 8)), max_pixels=1000)


def test_the_head_of_a_jpeg_tells_its_orientation_wherever_that_stands():
    raw = file(kind="JPEG", orientation=6)
    at = raw.index(b"\xff\xe1")
    length = 2 + int.from_bytes(raw[at + 2 : at + 4], "big")
    segment, rest = raw[at : at + length], raw[:at] + raw[at + length :]
    scan = rest.index(b"\xff\xda")
    late = rest[:scan] + segment + rest[scan:]
    for each in (raw, late):
        heads = [end for end in range(100, len(each), 7) if is_enough(each[:end])]
        assert {stored_facts(each[:end]) for end in heads} == {("JPEG", 48, 90, 6)}
        assert heads[0] > scan


def test_versions_are_of_what_a_form_uses():
    assert "zlib" not in encoder_of(PictureForm(codec="jpeg"))
    assert "libjpeg" not in encoder_of(PictureForm(codec="png"))
    assert all(name in encoder_of(PictureForm(max_side=5)) for name in ("Pillow", "libjpeg-turbo", "zlib", "libwebp"))
