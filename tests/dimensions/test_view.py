"""A view decodes once, and as little as it is asked for."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageFile

from lakehouse.config import Config
from lakehouse.errors import RejectedInputError
from lakehouse.media.kinds.registry import judges_of
from lakehouse.media.view import AudioView, EntityView, ImageView
from tests.corpus import bomb_png, encoded, picture

JUDGES = judges_of(Config())


def view(image: Image.Image, kind: str = "PNG", **options: object) -> ImageView:
    return ImageView(encoded(image, kind, **options))


def test_an_image_that_we_decode_gets_an_image_view_and_all_else_its_bytes():
    data = encoded(Image.new("L", (2, 2)), "PNG")

    assert isinstance(JUDGES.view(data, "image/png"), ImageView)
    other = JUDGES.view(b"RIFF", "application/octet-stream")
    assert type(other) is EntityView
    assert (other.data, other.media_type) == (b"RIFF", "application/octet-stream")
    assert isinstance(JUDGES.view(b"RIFF", "audio/wav"), AudioView)


def test_all_pixel_dimensions_share_one_decode(monkeypatch):
    shown = view(picture(np.random.default_rng(0)), "JPEG")
    decodes = []
    load_end = ImageFile.ImageFile.load_end
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load_end", lambda self: (decodes.append(1), load_end(self))[1])

    _ = (shown.pixels, shown.luma, shown.gray, shown.luma_histogram, shown.picture, shown.facts)

    assert len(decodes) == 1


def test_facts_are_of_the_stored_image_though_the_picture_is_reduced():
    shown = view(picture(np.random.default_rng(0), width=1100, height=700), "JPEG")

    assert shown.picture.size == (275, 175)
    assert (shown.facts.width_px, shown.facts.height_px) == (1100, 700)


@pytest.mark.parametrize(
    ("size", "kind", "reduced"),
    [
        ((512, 20), "PNG", (512, 20)), ((513, 20), "PNG", (257, 10)), ((1024, 1000), "JPEG", (512, 500)),
        ((1025, 1000), "JPEG", (257, 250)), ((3000, 10), "JPEG", (375, 2)), ((6000, 10), "JPEG", (375, 1)),
        ((1, 1), "PNG", (1, 1)), ((5000, 1), "PNG", (313, 1)),
    ],
)
def test_the_longer_side_is_at_most_512_px(size, kind, reduced):
    assert view(Image.new("RGB", size), kind).picture.size == reduced


def test_gray_is_between_0_and_1():
    shown = view(Image.new("L", (3, 3), 255))

    assert shown.gray.dtype == np.float32
    assert shown.gray.max() == 1.0


def test_wide_samples_are_stretched_and_flat_ones_are_black():
    ramp = Image.fromarray(np.linspace(-5, 5, 256, dtype=np.float32).reshape(16, 16))

    assert view(ramp, "TIFF").luma.min() == 0
    assert view(ramp, "TIFF").luma.max() == 255
    assert view(Image.fromarray(np.full((4, 4), np.nan, np.float32)), "TIFF").luma.max() == 0


def test_transparent_palettes_are_measured_without_a_warning():
    palette = picture(np.random.default_rng(0), mode="P")

    assert view(palette, "PNG", transparency=bytes(256)).pixels.shape == (30, 40, 3)


def test_a_cut_file_is_rejected_when_its_pixels_are_asked_for():
    data = encoded(picture(np.random.default_rng(0)), "PNG")
    shown = ImageView(data[: len(data) // 2])

    assert shown.facts.width_px == 40
    with pytest.raises(RejectedInputError, match="truncated"):
        _ = shown.pixels


def test_a_bomb_is_rejected_before_it_is_decoded():
    with pytest.raises(RejectedInputError, match="too_many_pixels"):
        _ = ImageView(bomb_png(50_000, 50_000)).pixels
