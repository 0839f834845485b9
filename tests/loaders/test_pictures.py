"""Pictures are decoded to the same pixels by whoever decodes them, whole or in part, and damage is an error."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from PIL import Image

from loaders.decoding import pictures
from loaders.decoding.pictures import Box, decode_box, decode_into, decode_new, jpeg_header, picture_size
from loaders.errors import DecodeError
from tests.corpus import bomb_jpeg, bomb_png, encoded, picture

LIMIT = 1_000_000
SUBSAMPLING = {"444": 0x111111, "422": 0x211111, "420": 0x221111, "440": 0x121111, "411": 0x411111}
KINDS = ("420", "422", "440", "444", "411", "420 progressive", "444 progressive", "420 restarts", "422 restarts", "rgb",
         "grey", "grey progressive")  # fmt: skip
needs_native = pytest.mark.skipif(pictures._native is None, reason="loaders.decoding._jpeg was not compiled here")


@pytest.fixture(params=["native", "simplejpeg"])
def decoder(request, monkeypatch) -> str:
    """Decode JPEGs by the compiled module, or as if it had not been compiled."""
    if request.param == "simplejpeg":
        monkeypatch.setattr(pictures, "_native", None)
    elif pictures._native is None:
        pytest.skip("loaders.decoding._jpeg was not compiled here")
    return request.param


def scene(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Shapes, edges and noise in colour: something for each part of a decoder."""
    pixels = np.asarray(picture(rng, width=width, height=height)).copy()
    pixels[height // 3 :, width // 4 : width // 2] ^= 0x5A
    return pixels


def jpeg(kind: str, pixels: np.ndarray, quality: int = 88) -> bytes:
    if kind == "rgb":
        return encoded(Image.fromarray(pixels), "JPEG", quality=quality, keep_rgb=True)
    if kind.startswith("grey"):
        grey = Image.fromarray(np.ascontiguousarray(pixels[..., 1]))
        return encoded(grey, "JPEG", quality=quality, progressive="progressive" in kind)
    options = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, SUBSAMPLING[kind[:3]], cv2.IMWRITE_JPEG_QUALITY, quality]
    options += [cv2.IMWRITE_JPEG_PROGRESSIVE, int("progressive" in kind)]
    options += [cv2.IMWRITE_JPEG_RST_INTERVAL, 3 if "restarts" in kind else 0]
    return cv2.imencode(".jpg", pixels, options)[1].tobytes()


def by_pillow(raw: bytes, mode: str) -> np.ndarray:
    with Image.open(io.BytesIO(raw)) as image:
        return np.asarray(image.convert(mode))


def sizes(rng: np.random.Generator, count: int) -> Iterator[tuple[int, int]]:
    yield from ((1, 1), (8, 8), (17, 33))
    yield from (tuple(rng.integers(1, 120, 2).tolist()) for _ in range(count))


def boxes(rng: np.random.Generator, height: int, width: int, count: int) -> Iterator[Box]:
    yield Box(0, 0, height, width)
    yield Box(height - 1, width - 1, 1, 1)
    for _ in range(count):
        h, w = int(rng.integers(1, height + 1)), int(rng.integers(1, width + 1))
        yield Box(int(rng.integers(0, height - h + 1)), int(rng.integers(0, width - w + 1)), h, w)


# ------------------------------------------------------------------------------------------------ the same pixels


@pytest.mark.parametrize("kind", KINDS)
def test_jpegs_have_the_pixels_of_pillow(kind, decoder):
    rng = np.random.default_rng(KINDS.index(kind))
    for height, width in sizes(rng, 12):
        raw = jpeg(kind, scene(rng, height, width), int(rng.integers(20, 100)))
        for channels, mode in ((3, "RGB"), (4, "RGBA"), (1, "L")):
            wanted = by_pillow(raw, mode)
            np.testing.assert_array_equal(decode_new(memoryview(raw), channels, max_pixels=LIMIT), wanted)
            out = np.full(wanted.shape, 7, np.uint8)
            decode_into(memoryview(raw), out, max_pixels=LIMIT)
            np.testing.assert_array_equal(out, wanted)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("eighths", [8, 4, 2, 1])
def test_a_box_has_the_pixels_of_the_whole_picture(kind, eighths, decoder):
    rng = np.random.default_rng(100 + KINDS.index(kind))
    for height, width in sizes(rng, 6):
        raw = memoryview(jpeg(kind, scene(rng, height, width)))
        header = jpeg_header(raw)
        assert header is not None
        scaled = (-(-height * eighths // 8), -(-width * eighths // 8))
        whole = decode_box(raw, header, Box(0, 0, *scaled), max_pixels=LIMIT, eighths=eighths)
        if eighths == 8:
            np.testing.assert_array_equal(whole, by_pillow(bytes(raw), "RGB"))
        for box in boxes(rng, *scaled, 25):
            part = decode_box(raw, header, box, max_pixels=LIMIT, eighths=eighths)
            np.testing.assert_array_equal(part, pictures.cut(whole, box), err_msg=f"{height}x{width} {box}")


@needs_native
@pytest.mark.parametrize("eighths", [4, 2, 1])
def test_scaled_boxes_are_the_same_without_the_compiled_module(eighths, monkeypatch):
    rng = np.random.default_rng(eighths)
    for kind in KINDS:
        raw = jpeg(kind, scene(rng, 75, 101))
        box = Box(3, 2, 75 * eighths // 8 - 3, 101 * eighths // 8 - 2)
        native = decode_box(raw, jpeg_header(raw), box, max_pixels=LIMIT, eighths=eighths)
        with monkeypatch.context() as patch:
            patch.setattr(pictures, "_native", None)
            other = decode_box(raw, jpeg_header(raw), box, max_pixels=LIMIT, eighths=eighths)
        np.testing.assert_array_equal(native, other)


def test_a_picture_whose_last_scans_are_missing_is_smoothed_alike_in_whole_and_in_part(decoder):
    rng = np.random.default_rng(3)
    raw = jpeg("420 progressive", scene(rng, 90, 110))
    scans = [at for at in range(len(raw)) if raw[at : at + 2] == b"\xff\xda"]
    for kept in (1, 3, 5):
        table = raw.rfind(b"\xff\xc4", 0, scans[kept])  # the tables of the first scan left out
        cut = raw[:table] + b"\xff\xd9"
        whole = decode_new(cut, 3, max_pixels=LIMIT)
        np.testing.assert_array_equal(whole, by_pillow(cut, "RGB"))
        for box in boxes(rng, 90, 110, 20):
            part = decode_box(cut, jpeg_header(cut), box, max_pixels=LIMIT)
            np.testing.assert_array_equal(part, pictures.cut(whole, box), err_msg=f"{kept} scans {box}")


OTHER = {
    "png": ("PNG", "RGB", {}), "png grey": ("PNG", "L", {}), "png palette": ("PNG", "P", {}),
    "png alpha": ("PNG", "RGBA", {}), "png one bit": ("PNG", "1", {}), "png grey alpha": ("PNG", "LA", {}),
    "bmp": ("BMP", "RGB", {}), "gif": ("GIF", "P", {}), "ppm": ("PPM", "RGB", {}), "jpeg cmyk": ("JPEG", "CMYK", {}),
    "tiff": ("TIFF", "RGB", {"compression": "tiff_lzw"}), "webp": ("WEBP", "RGB", {"lossless": True}),
}  # fmt: skip


@pytest.mark.parametrize("kind", OTHER)
def test_all_other_formats_have_the_pixels_of_pillow(kind):
    name, mode, options = OTHER[kind]
    raw = encoded(picture(np.random.default_rng(5)).convert(mode), name, **options)
    assert picture_size(memoryview(raw)) == (30, 40)
    for channels, wanted in ((3, "RGB"), (4, "RGBA"), (1, "L")):
        found = decode_new(memoryview(raw), channels, max_pixels=LIMIT)
        np.testing.assert_array_equal(found, by_pillow(raw, wanted))
        assert found.flags.writeable
        out = np.empty_like(found)
        decode_into(memoryview(raw), out, max_pixels=LIMIT)
        np.testing.assert_array_equal(out, found)


def test_orientation_is_not_applied():
    exif = Image.Exif()
    exif[0x0112] = 6  # on its side
    raw = encoded(picture(np.random.default_rng(6)), "JPEG", exif=exif)
    assert picture_size(raw) == (30, 40)
    np.testing.assert_array_equal(decode_new(raw, 3, max_pixels=LIMIT), by_pillow(raw, "RGB"))


def test_real_pictures_have_the_pixels_of_pillow(real_data, decoder):
    rng = np.random.default_rng(8)
    for path in sorted((real_data("bccd") / "JPEGImages").glob("*.jpg"))[:12]:
        raw = path.read_bytes()
        wanted = by_pillow(raw, "RGB")
        np.testing.assert_array_equal(decode_new(raw, 3, max_pixels=LIMIT), wanted)
        for box in boxes(rng, *wanted.shape[:2], 4):
            part = decode_box(raw, jpeg_header(raw), box, max_pixels=LIMIT)
            np.testing.assert_array_equal(part, pictures.cut(wanted, box))


# ------------------------------------------------------------------------------------------------ damage


@pytest.mark.parametrize("kind", ["420", "444 progressive", "grey", "422 restarts"])
def test_a_cut_jpeg_is_refused_wherever_it_is_cut(kind, decoder):
    raw = jpeg(kind, scene(np.random.default_rng(9), 40, 50))
    header = jpeg_header(raw)
    for end in [*range(0, len(raw) - 1, 13), len(raw) - 2, len(raw) - 1]:
        with pytest.raises(DecodeError):
            decode_new(raw[:end], 3, max_pixels=LIMIT)
        with pytest.raises(DecodeError):
            decode_box(raw[:end], header, Box(0, 0, 2, 2), max_pixels=LIMIT)


def test_what_libjpeg_only_warns_about_is_refused(decoder):
    raw = jpeg("420", scene(np.random.default_rng(10), 40, 50))
    with pytest.raises(DecodeError, match="damaged JPEG: .*premature end"):
        decode_new(raw[: len(raw) // 2] + b"\xff\xd9", 3, max_pixels=LIMIT)


@pytest.mark.parametrize("kind", ["420", "444 progressive", "grey", "422 restarts"])
@pytest.mark.parametrize("junk", [b"\x7f", bytes(200), b"\x12\x34\x56" * 99, b"\xff\0" * 9, b"\xff\xff"])
def test_bytes_between_the_last_scan_and_the_end_mark_are_of_no_pixel(kind, junk, decoder):
    raw = jpeg(kind, scene(np.random.default_rng(10), 40, 50))
    longer = raw[:-2] + junk + raw[-2:]
    for channels, mode in ((3, "RGB"), (1, "L")):
        np.testing.assert_array_equal(decode_new(longer, channels, max_pixels=LIMIT), by_pillow(raw, mode))
    part = decode_box(longer, jpeg_header(longer), Box(1, 2, 3, 4), max_pixels=LIMIT)
    np.testing.assert_array_equal(part, by_pillow(raw, "RGB")[1:4, 2:6])


def test_bytes_after_the_end_of_a_jpeg_do_no_harm(decoder):
    raw = jpeg("420", scene(np.random.default_rng(11), 40, 50))
    longer = raw + b"appended by a camera"
    np.testing.assert_array_equal(decode_new(longer, 3, max_pixels=LIMIT), by_pillow(raw, "RGB"))
    part = decode_box(longer, jpeg_header(longer), Box(1, 2, 3, 4), max_pixels=LIMIT)
    np.testing.assert_array_equal(part, by_pillow(raw, "RGB")[1:4, 2:6])


def test_a_jpeg_of_very_many_scans_is_refused(decoder):
    raw = jpeg("grey progressive", scene(np.random.default_rng(12), 8, 8))
    table = b"\xff\xc4\x00\x14\x10\x01" + bytes(15) + b"\x00"  # one code: the block has nothing more
    scan = b"\xff\xda\x00\x08\x01\x01\x00\x01\x3f\x00\x7f"
    np.testing.assert_array_equal(
        decode_new(raw[:-2] + table + 50 * scan + raw[-2:], 3, max_pixels=LIMIT), by_pillow(raw, "RGB")
    )
    with pytest.raises(DecodeError, match="more than 100 scans"):
        decode_new(raw[:-2] + table + 100 * scan + raw[-2:], 3, max_pixels=LIMIT)


def test_no_damage_brings_the_process_down_and_parts_agree_with_the_whole(decoder):
    rng = np.random.default_rng(13)
    good = [jpeg(kind, scene(rng, 37, 45)) for kind in KINDS]
    outcomes = set()
    for _ in range(1500):
        raw = bytearray(good[int(rng.integers(len(good)))])
        for _ in range(int(rng.integers(1, 6))):
            raw[int(rng.integers(2, len(raw)))] = int(rng.integers(256))
        header = jpeg_header(raw)
        if header is None or header.height * header.width > LIMIT:
            continue
        box = next(boxes(rng, header.height, header.width, 1))
        try:
            whole = decode_new(raw, 3, max_pixels=LIMIT)
        except DecodeError:
            outcomes.add("refused")
            continue
        outcomes.add("decoded")
        np.testing.assert_array_equal(decode_box(raw, header, box, max_pixels=LIMIT), pictures.cut(whole, box))
    assert outcomes == {"refused", "decoded"}


@pytest.mark.parametrize("raw", [b"", b"\xff", b"\xff\xd8\xff", b"text", bytes(3000), b"\xff\xd8" + b"\xff" * 500,
                                 b"\xff\xd8\xff\xe0" + bytes(400)])  # fmt: skip
def test_what_is_no_picture_is_refused(raw):
    for attempt in (lambda: picture_size(raw), lambda: decode_new(raw, 3, max_pixels=LIMIT)):
        with pytest.raises(DecodeError, match="no picture"):
            attempt()


def test_bombs_are_refused_by_their_header():
    small = jpeg("420", scene(np.random.default_rng(14), 40, 50))
    for raw, size in ((bomb_jpeg(small, 65_000, 65_000), 65_000), (bomb_png(9_000, 9_000), 9_000)):
        assert picture_size(raw) == (size, size)
        with pytest.raises(DecodeError, match=f"{size}x{size} pixels are more than max_pixels=1,000,000"):
            decode_new(raw, 3, max_pixels=LIMIT)
    with pytest.raises(DecodeError):
        decode_new(bomb_png(2**31 - 1, 2**31 - 1), 3, max_pixels=LIMIT)


@needs_native
def test_the_compiled_module_does_not_trust_its_caller():
    raw = jpeg("420", scene(np.random.default_rng(15), 40, 50))
    out = np.empty((40, 50, 3), np.uint8)
    decode = pictures._native.decode
    decode(raw, out, 40, 50, 3, 0, 0, 8, LIMIT)
    with pytest.raises(ValueError, match="more pixels"):
        decode(raw, out, 40, 50, 3, 0, 0, 8, 1_999)
    with pytest.raises(ValueError, match="not inside the picture"):
        decode(raw, out, 40, 50, 3, 1, 0, 8, LIMIT)
    with pytest.raises(ValueError, match="not grey"):
        decode(raw, out, 40, 150, 1, 0, 0, 8, LIMIT)
    for height, width, channels, left, eighths in (
        (41, 50, 3, 0, 8), (40, 50, 2, 0, 8), (40, 50, 3, -1, 8), (40, 50, 3, 0, 9), (0, 50, 3, 0, 8),
        (2**62, 1, 4, 0, 8),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="out of range"):
            decode(raw, out, height, width, channels, left, 0, eighths, LIMIT)
    with pytest.raises((BufferError, TypeError)):
        decode(raw, b"read-only" * 1000, 40, 50, 3, 0, 0, 8, LIMIT)


def test_a_picture_of_another_size_or_depth_is_refused():
    rng = np.random.default_rng(16)
    for raw in (jpeg("420", scene(rng, 40, 50)), encoded(Image.fromarray(scene(rng, 40, 50)), "PNG")):
        with pytest.raises(DecodeError, match=r"expected shape \(40, 51, 3\), found height 40 and width 50"):
            decode_into(raw, np.empty((40, 51, 3), np.uint8), max_pixels=LIMIT)
    deep = encoded(Image.fromarray(np.full((3, 3), 40_000, dtype=np.uint16)), "PNG")
    with pytest.raises(DecodeError, match="more than 8 bits"):
        decode_new(deep, 1, max_pixels=LIMIT)


# ------------------------------------------------------------------------------------------------ threads


def test_threads_decode_side_by_side(decoder):
    rng = np.random.default_rng(17)
    raws = [jpeg(kind, scene(rng, 60, 70)) for kind in KINDS]
    wanted = [by_pillow(raw, "RGB") for raw in raws]
    wrong: list[int] = []

    def work(first: int) -> None:
        for step in range(60):
            at = (first + step) % len(raws)
            whole = decode_new(raws[at], 3, max_pixels=LIMIT)
            part = decode_box(raws[at], jpeg_header(raws[at]), Box(11, 13, 31, 37), max_pixels=LIMIT)
            if (whole != wanted[at]).any() or (part != wanted[at][11:42, 13:50]).any():
                wrong.append(at)

    threads = [threading.Thread(target=work, args=(first,)) for first in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_other_threads_run_while_a_picture_is_decoded(decoder):
    raw = encoded(Image.new("L", (6000, 6000), 90), "JPEG", progressive=True)
    ticks, marks = [0], []

    def work() -> None:
        out = np.empty((6000, 6000), np.uint8)
        marks.append(ticks[0])
        decode_into(raw, out, max_pixels=40_000_000)
        marks.append(ticks[0])

    thread = threading.Thread(target=work)
    thread.start()
    while thread.is_alive():
        ticks[0] += 1
    assert marks[1] - marks[0] > 100, "the lock of the interpreter was held"
