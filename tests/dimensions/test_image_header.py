"""What the header says becomes dimensions."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from PIL import Image

from lakehouse.extractors.image_header import IMAGE_HEADER, measure_header
from lakehouse.media.view import ImageView
from tests.corpus import animation, encoded


def test_a_photo_with_exif():
    exif = Image.Exif()
    exif[0x0112] = 8
    exif.get_ifd(0x8769)[0x9003] = "2024:06:01 10:30:00"
    data = encoded(Image.new("RGB", (30, 20)), "JPEG", exif=exif)

    assert measure_header(ImageView(data)) == {
        "width": 30, "height": 20, "channels": 3, "bits": 8, "mode": "RGB", "format": "JPEG", "bytes": len(data),
        "frames": 1, "is_animated": False, "exif_orientation": 8,
        "exif_captured_at": datetime(2024, 6, 1, 10, 30, tzinfo=UTC),
    }


def test_an_animation():
    found = measure_header(ImageView(animation(np.random.default_rng(1), 5)))

    assert (found["frames"], found["is_animated"], found["exif_orientation"]) == (5, True, None)


def test_every_declared_dimension_is_measured():
    found = measure_header(ImageView(encoded(Image.new("L", (3, 3)), "PNG")))

    assert list(found) == [dimension.name for dimension in IMAGE_HEADER.dimensions]


def test_nothing_is_decoded(monkeypatch):
    data = encoded(Image.new("RGB", (300, 300)), "PNG")
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("decoded"))

    assert measure_header(ImageView(data))["width"] == 300
