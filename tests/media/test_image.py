"""What `probe_image` accepts, and by which rule it rejects the rest."""

from __future__ import annotations

import io
import struct
import zlib
from datetime import UTC, datetime

import numpy as np
import pytest
from PIL import Image

from lakehouse.errors import RejectedInputError
from lakehouse.media.image import ImageFacts, probe_image, read_facts
from lakehouse.media.limits import ImageLimits
from tests.corpus import bomb_jpeg, bomb_png, encoded, picture


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def rule_of(data: bytes, *, name: str = "x", limits: ImageLimits | None = None) -> str:
    with pytest.raises(RejectedInputError) as caught:
        probe_image(data, name=name, limits=limits or ImageLimits())
    assert caught.value.reason
    assert "0x7f" not in caught.value.reason, "an address would make every run's reason another one"
    return caught.value.rule


def test_a_png_gives_all_its_facts(rng):
    data = encoded(picture(rng, width=7, height=5), "PNG")

    assert probe_image(data, name="a.png") == ImageFacts(
        media_type="image/png", format="PNG", width_px=7, height_px=5, mode="RGB", channels=3, bits=8, frames=1,
        is_animated=False, size_bytes=len(data), exif_orientation=None, captured_at=None, captured_at_has_offset=None,
        pixel_type="uint8",
    )


@pytest.mark.parametrize(
    ("mode", "kind", "channels", "bits"),
    [
        ("1", "PNG", 1, 1), ("L", "PNG", 1, 8), ("LA", "PNG", 2, 8), ("P", "PNG", 1, 8), ("RGB", "PNG", 3, 8),
        ("RGBA", "PNG", 4, 8), ("L", "JPEG", 1, 8), ("RGB", "JPEG", 3, 8), ("CMYK", "JPEG", 4, 8),
        ("RGB", "WEBP", 3, 8), ("RGBA", "WEBP", 4, 8), ("RGB", "BMP", 3, 8), ("CMYK", "TIFF", 4, 8),
        ("P", "GIF", 1, 8), ("L", "PPM", 1, 8), ("RGB", "PPM", 3, 8), ("RGB", "AVIF", 3, 8),
    ],
)
def test_modes_of_every_format_are_accepted(rng, mode, kind, channels, bits):
    image = picture(rng, mode=mode)
    if mode in ("LA", "RGBA"):
        image.putalpha(128)  # WebP drops an alpha that hides nothing

    facts = probe_image(encoded(image, kind), name="no_extension")

    assert (facts.mode, facts.channels, facts.bits, facts.frames) == (mode, channels, bits, 1)
    assert (facts.width_px, facts.height_px) == (40, 30)


@pytest.mark.parametrize(("kind", "name"), [("PNG", "a.png"), ("TIFF", "a.tif")])
def test_samples_of_16_bits_are_known_as_such(kind, name):
    data = encoded(Image.fromarray(np.arange(12, dtype=np.uint16).reshape(3, 4) * 5000), kind)

    facts = probe_image(data, name=name)

    assert facts.bits == 16
    assert (facts.width_px, facts.height_px, facts.channels) == (4, 3, 1)


def test_float_samples_of_a_tiff_have_32_bits():
    facts = probe_image(encoded(Image.fromarray(np.ones((3, 4), dtype=np.float32)), "TIFF"), name="a.tiff")

    assert (facts.mode, facts.bits) == ("F", 32)


@pytest.mark.parametrize(("kind", "plays"), [("GIF", True), ("PNG", True), ("WEBP", True), ("TIFF", False)])
def test_frames_are_counted_and_pages_do_not_play(rng, kind, plays):
    first, *rest = (picture(rng, width=20, height=20) for _ in range(4))
    data = encoded(first, kind, save_all=True, append_images=rest)

    facts = probe_image(data, name="no_extension")

    assert (facts.frames, facts.is_animated) == (4, plays)


def test_reading_facts_decodes_nothing(rng):
    data = encoded(picture(rng, width=200, height=100), "JPEG")

    assert read_facts(data[: len(data) // 2]).width_px == 200


def test_orientation_and_capture_time_come_from_exif(rng):
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8769).update({0x9003: "2024:06:01 10:30:00", 0x9011: "+02:00"})

    facts = probe_image(encoded(picture(rng), "JPEG", exif=exif), name="a.jpg")

    assert facts.exif_orientation == 6
    assert facts.captured_at == datetime(2024, 6, 1, 8, 30, tzinfo=UTC)
    assert facts.captured_at_has_offset is True
    assert (facts.width_px, facts.height_px) == (40, 30), "as stored: orientation is not applied"


@pytest.mark.parametrize("orientation", [0, 9, 65_535])
def test_an_orientation_that_is_none_of_the_eight_is_not_stated(rng, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation

    assert probe_image(encoded(picture(rng), "JPEG", exif=exif), name="a.jpg").exif_orientation is None


def test_no_bytes_are_empty():
    assert rule_of(b"", name="a.png") == "empty"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "PPM"])
def test_a_file_cut_anywhere_is_rejected(rng, kind):
    data = encoded(picture(rng), kind)

    for share in (0.01, 0.1, 0.3, 0.5, 0.9, 0.99):
        cut = data[: max(1, int(len(data) * share))]
        assert rule_of(cut, name=f"a.{kind.lower()}") in ("truncated", "undecodable", "extension_mismatch"), share


def test_a_jpeg_without_its_last_two_bytes_is_truncated(rng):
    assert rule_of(encoded(picture(rng), "JPEG")[:-2], name="a.jpg") == "truncated"


def test_the_end_marker_of_a_thumbnail_does_not_end_a_jpeg(rng):
    data = encoded(picture(rng), "JPEG")
    thumbnail = encoded(picture(rng, width=8, height=8), "JPEG")
    segment = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail

    assert probe_image(data[:2] + segment + data[2:], name="a.jpg").width_px == 40
    assert rule_of((data[:2] + segment + data[2:])[:-2], name="a.jpg") == "truncated"


def test_bytes_after_the_end_of_an_image_do_no_harm(rng):
    for kind in ("PNG", "JPEG", "GIF"):
        assert probe_image(encoded(picture(rng), kind) + b"trailing", name="x").width_px == 40


def test_every_flipped_bit_of_a_png_is_noticed(rng):
    data = encoded(picture(rng, width=6, height=6), "PNG")

    for position in range(8, len(data)):
        flipped = data[:position] + bytes((data[position] ^ 1,)) + data[position + 1 :]
        assert rule_of(flipped, name="a.png") in ("undecodable", "truncated", "too_many_pixels"), position


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.jpg", encoded(Image.new("RGB", (3, 3)), "PNG")),
        ("a.png", encoded(Image.new("RGB", (3, 3)), "JPEG")),
        ("a.JPEG", b"<!DOCTYPE html><html></html>"),
        ("a.gif", b"plain text"),
        ("a.png", b"PK\x03\x04" + bytes(40)),
    ],
)
def test_a_name_that_claims_another_kind_is_a_mismatch(name, data):
    assert rule_of(data, name=name) == "extension_mismatch"


@pytest.mark.parametrize("name", ["a.JPG", "a.jpeg", "a.jfif", "jpg", "a", ".jpg", "a.jpg.", "a.xyz", "a.b.jpe"])
def test_names_that_fit_or_claim_nothing_are_fine(rng, name):
    assert probe_image(encoded(picture(rng), "JPEG"), name=name).format == "JPEG"


@pytest.mark.parametrize(
    "data", [bytes(100), b"\xf5\xf6" * 50, b"\x7fELF" + bytes(60), b"SQLite format 3\0" + bytes(9)]
)
def test_bytes_of_no_known_medium_are_unknown(data):
    assert rule_of(data) == "unknown_type"


@pytest.mark.parametrize(
    "data",
    [b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"RIFF\xff\xff\xff\xffWAVEfmt ", b"\0\0\0\x18ftypisom" + bytes(99)],
)
def test_media_of_other_kinds_are_unsupported(data):
    assert rule_of(data) == "unsupported_media"


@pytest.mark.parametrize("size", [(9_000, 9_000), (50_000, 50_000), (2**31 - 1, 1)])
def test_a_bomb_is_refused_from_its_header(size):
    assert rule_of(bomb_png(*size), name="a.png") == "too_many_pixels"


def test_a_jpeg_bomb_is_refused_from_its_header(rng):
    assert rule_of(bomb_jpeg(encoded(picture(rng), "JPEG"), 65_000, 65_000), name="a.jpg") == "too_many_pixels"


def test_a_frame_larger_than_the_canvas_of_a_gif_counts(rng):
    data = encoded(picture(rng, width=10, height=10, mode="P"), "GIF")
    frame = data.index(b"\x2c\0\0\0\0")
    grown = data[: frame + 5] + struct.pack("<HH", 60_000, 60_000) + data[frame + 9 :]

    assert rule_of(grown, name="a.gif") == "too_many_pixels"


@pytest.mark.parametrize("mode", ["RGB", "P", "RGBA"])
def test_compressed_text_in_a_png_is_neither_blown_up_nor_a_reason_to_refuse_it(rng, mode):
    text = b"k\0\0" + zlib.compress(bytes(32 << 20), 9)
    chunk = struct.pack(">I", len(text)) + b"zTXt" + text + struct.pack(">I", zlib.crc32(b"zTXt" + text))
    data = encoded(picture(rng, mode=mode), "PNG")

    facts = probe_image(data[:33] + chunk + data[33:], name="a.png")

    assert (facts.width_px, facts.mode, facts.pixel_type) == (40, mode, "uint8")


def test_limits_are_inclusive(rng):
    data = encoded(picture(rng), "PNG")

    assert probe_image(data, name="a.png", limits=ImageLimits(max_pixels=1200, max_bytes=len(data))).width_px == 40
    assert rule_of(data, limits=ImageLimits(max_pixels=1199)) == "too_many_pixels"
    assert rule_of(data, limits=ImageLimits(max_bytes=len(data) - 1)) == "too_large"


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_more_frames_than_the_limit_are_too_many(rng, kind):
    first, *rest = (picture(rng, width=9, height=9) for _ in range(4))
    data = encoded(first, kind, save_all=True, append_images=rest)

    assert probe_image(data, name="x", limits=ImageLimits(max_frames=4)).frames == 4
    assert rule_of(data, limits=ImageLimits(max_frames=3)) == "too_many_frames"


def test_damage_inside_a_page_behind_the_first_is_not_the_fault_of_the_first(rng):
    first, second = (picture(rng, width=40, height=40, mode="P") for _ in range(2))
    data = encoded(first, "TIFF", save_all=True, append_images=[second], compression="tiff_lzw")
    damaged = bytearray(data)
    with Image.open(io.BytesIO(data)) as image:
        image.seek(1)
        start = image.tag_v2[273][0]
    damaged[start : start + 60] = bytes(60)

    assert probe_image(bytes(damaged), name="a.tif").frames == 2
    assert rule_of(data[: start + 30], name="a.tif") == "truncated"


def test_a_tiff_whose_pages_never_end_is_stopped():
    data = bytearray(encoded(Image.new("L", (4, 4)), "TIFF"))
    first = struct.unpack_from("<I", data, 4)[0]
    entries = struct.unpack_from("<H", data, first)[0]
    struct.pack_into("<I", data, first + 2 + 12 * entries, first)  # the first page is its own next page

    # Pillow notices the loop and stops at the pages it has seen.
    assert probe_image(bytes(data), name="a.tif", limits=ImageLimits(max_frames=50)).frames == 1


def test_no_bytes_at_all_raise_anything_but_a_rejection():
    rng = np.random.default_rng(11)
    seeds = [encoded(picture(rng, width=12, height=9), kind) for kind in ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP")]
    outcomes = set()

    for number in range(600):
        data = bytearray(seeds[number % len(seeds)])
        for _ in range(int(rng.integers(1, 6))):
            data[int(rng.integers(0, len(data)))] = int(rng.integers(0, 256))
        try:
            probe_image(bytes(data), name="x", limits=ImageLimits(max_pixels=10_000))
            outcomes.add("accepted")
        except RejectedInputError as error:
            outcomes.add(error.rule)

    assert {"accepted", "undecodable", "too_many_pixels"} <= outcomes
