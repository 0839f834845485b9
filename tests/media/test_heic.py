"""HEIC: decoded as any picture where the library is there, and refused with a rule where it lies."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from lakehouse.errors import RejectedInputError
from lakehouse.media.image import probe_image
from lakehouse.media.limits import ImageLimits
from loaders.decoding import containers
from loaders.decoding.pictures import decode_new
from loaders.decoding.verdict import judge

pillow_heif = pytest.importorskip("pillow_heif")


def heic(mode: str = "RGB", *, size: tuple[int, int] = (64, 48), bits: int = 8, frames: int = 1) -> bytes:
    """A picture of one colour that changes from left to right."""
    width, height = size
    ramp = np.tile(np.linspace(0, 255, width, dtype=np.uint8), (height, 1))
    image = Image.fromarray(ramp).convert(mode)
    if bits == 8:
        file = pillow_heif.from_pillow(image)
    else:
        deep = (np.stack([ramp] * 3, axis=2).astype(np.uint16) << 8).tobytes()
        file = pillow_heif.from_bytes(mode="RGB;16", size=size, data=deep)
    for _ in range(frames - 1):
        file.add_from_pillow(image)
    out = io.BytesIO()
    file.save(out, quality=90)
    return out.getvalue()


def rule_of(data: bytes, limits: ImageLimits | None = None) -> str:
    with pytest.raises(RejectedInputError) as caught:
        probe_image(data, name="", limits=limits or ImageLimits())
    return caught.value.rule


def stated(data: bytes, width: int, height: int) -> bytes:
    """The same with another size in its header."""
    at = data.index(b"ispe") + 8
    return data[:at] + width.to_bytes(4, "big") + height.to_bytes(4, "big") + data[at + 8 :]


def test_it_is_a_picture_like_others():
    data = heic()
    facts = probe_image(data, name="IMG_0001.HEIC")
    assert (facts.media_type, facts.format, facts.width_px, facts.height_px, facts.bits) == (
        "image/heic", "HEIF", 64, 48, 8
    )  # fmt: skip
    assert judge(data).channels == 3
    theirs = np.asarray(pillow_heif.open_heif(data).to_pillow().convert("RGB"))
    assert np.array_equal(decode_new(data, 3, max_pixels=10_000), theirs)
    assert probe_image(heic(frames=3), name="").frames == 3


def test_what_is_cut_or_lies_is_refused():
    data = heic()
    assert {rule_of(data[:end]) for end in range(40, len(data), 7)} <= {"truncated", "undecodable"}
    assert rule_of(stated(data, 60_000, 60_000)) in ("too_many_pixels", "undecodable")
    assert rule_of(stated(data, 16, 16)) == "undecodable"
    assert rule_of(data, ImageLimits(max_pixels=1000)) == "too_many_pixels"
    assert rule_of(heic(bits=10)) == "unsupported_depth"


def test_without_the_library_it_is_no_picture(monkeypatch):
    monkeypatch.setattr(containers, "_READS_HEIC", False)
    assert containers.format_of(heic()) is None
