"""PNG is read to the pixels that Pillow and OpenCV find in it, and damage is an error."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import NamedTuple

import cv2
import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from loaders.decoding import pictures, png
from loaders.decoding.pictures import decode_into, decode_new, picture_size, stored_form
from loaders.decoding.png import png_header
from loaders.errors import DecodeError
from loaders.petastorm import images
from tests.corpus import encoded, picture

KINDS = {"grey": (0, 8), "rgb": (2, 8), "grey 16": (0, 16), "rgb 16": (2, 16)}
"""Colour type and bits."""
SIZES = ((1, 1), (1, 9), (9, 1), (4, 5), (31, 33))
ADLER = 4
needs_native = pytest.mark.skipif(png._native is None, reason="loaders.decoding._png was not compiled here")


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture(params=["compiled", "many at once", "not compiled"])
def build(request, monkeypatch):
    """Read by the compiled module, one or as one of many, or as if it had not been compiled."""
    if request.param == "not compiled":
        monkeypatch.setattr(png, "_native", None)
    elif png._native is None:
        pytest.skip("loaders.decoding._png was not compiled here")
    elif request.param == "many at once":
        monkeypatch.setattr(images, "decode", lambda raw: images.decode_all(column([raw]))[0])
    return request.param


@pytest.fixture
def compiled(build):
    """Not as if it had not been compiled."""
    if build == "not compiled":
        pytest.skip("said of the compiled module alone")


@pytest.fixture
def at_once(monkeypatch):
    """Fail where a file is not read as one of many."""
    if png._native is None:
        pytest.skip("loaders.decoding._png was not compiled here")
    monkeypatch.setattr(images, "decode_stored", None)


# ------------------------------------------------------------------------------------------------ PNG, by hand


def chunk(name, content=b""):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


class Png(NamedTuple):
    """The parts of a file."""

    width: int
    height: int
    colour: int
    bits: int
    rows: bytes
    before: bytes = b""
    between: int = 1 << 30
    after: bytes = b""
    packed: bytes | None = None
    interlacing: int = 0

    def file(self):
        header = struct.pack(">IIBBBBB", self.width, self.height, self.bits, self.colour, 0, 0, self.interlacing)
        packed = zlib.compress(self.rows) if self.packed is None else self.packed
        parts = [packed[at : at + self.between] for at in range(0, len(packed), self.between)]
        pixels = b"".join(chunk(b"IDAT", part) for part in parts)
        return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + self.before + pixels + self.after + chunk(b"IEND")


def crafted(pixels, filters):
    """Return a PNG whose rows have these filters."""
    colour, bits = (2 if pixels.ndim == 3 else 0), pixels.dtype.itemsize * 8
    step = (3 if colour else 1) * bits // 8
    plain = np.frombuffer(pixels.astype(pixels.dtype.newbyteorder(">")).tobytes(), np.uint8)
    # padded: one more row above and one more pixel to the left, of zeros
    padded = np.zeros((len(pixels) + 1, (pixels.shape[1] + 1) * step), dtype=np.int64)
    padded[1:, step:] = plain.reshape(len(pixels), -1)
    value, left, above, corner = padded[1:, step:], padded[1:, :-step], padded[:-1, step:], padded[:-1, :-step]
    guess = left + above - corner
    to_left, to_above, to_corner = abs(guess - left), abs(guess - above), abs(guess - corner)
    is_left = (to_left <= to_above) & (to_left <= to_corner)
    paeth = np.where(is_left, left, np.where(to_above <= to_corner, above, corner))
    predicted = np.stack([np.zeros_like(value), left, above, (left + above) // 2, paeth])
    rows = np.empty((len(pixels), 1 + value.shape[1]), dtype=np.uint8)
    rows[:, 0] = filters
    rows[:, 1:] = (value - predicted[filters, np.arange(len(pixels))]) & 0xFF
    return Png(pixels.shape[1], pixels.shape[0], colour, bits, rows.tobytes())


def noise(rng, kind, height, width, limit=256):
    colour, bits = KINDS[kind]
    shape = (height, width, 3) if colour else (height, width)
    return rng.integers(0, limit << (bits - 8), shape, dtype=f"uint{bits}")


def decoded(raw):
    return images.decode(memoryview(raw))


def column(raws):
    return pa.array([bytes(raw) for raw in raws], pa.binary())


def by_pillow(raw):
    with Image.open(io.BytesIO(raw), formats=["PNG"]) as image:
        return np.asarray(image)


def by_opencv(raw):
    found = cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_UNCHANGED)
    return found[..., ::-1] if found.ndim == 3 else found


def same(one, other):
    return one.shape == other.shape and one.dtype == other.dtype and bool((one == other).all())


# ------------------------------------------------------------------------------------------------ pixels


@pytest.mark.parametrize("kind", KINDS)
def test_every_filter_gives_the_pixels_that_went_in(rng, build, kind):
    for height, width in SIZES:
        for filters in (0, 1, 2, 3, 4, rng.integers(0, 5, height)):
            for limit in (256, 4):  # few values: neighbours are often equally near
                pixels = noise(rng, kind, height, width, limit)
                raw = crafted(pixels, np.broadcast_to(filters, height)).file()
                found = decoded(raw)
                assert same(found, pixels)
                assert same(found, by_opencv(raw))
                assert kind == "rgb 16" or same(found, by_pillow(raw))
                assert found.flags.c_contiguous
                assert found.flags.writeable


@pytest.mark.parametrize("kind", KINDS)
def test_encoders_of_others_are_read(rng, build, kind):
    for height, width in (*SIZES, (120, 90)):
        soft = np.asarray(picture(rng, width=width, height=height)).astype(np.uint8)
        pixels = soft if KINDS[kind][0] else soft[..., 0].copy()
        pixels = pixels if KINDS[kind][1] == 8 else pixels * np.uint16(257) + np.uint16(5)
        files = [cv2.imencode(".png", pixels[..., ::-1] if pixels.ndim == 3 else pixels)[1].tobytes()]
        if kind != "rgb 16":  # which Pillow cannot write
            files += [encoded(Image.fromarray(pixels), "PNG", compress_level=level) for level in (0, 1, 6)]
        for raw in files:
            assert png_header(raw) is not None
            assert same(decoded(raw), pixels)


@needs_native
def test_photographs_are_read_as_by_pillow_and_opencv(real_data):
    files = sorted(real_data("cifar10").glob("test/*/*.jpg"))[::20]
    raws = []
    for file in files:
        with Image.open(file) as image:
            raws.append(encoded(image, "PNG"))
            raws.append(cv2.imencode(".png", np.asarray(image)[..., ::-1])[1].tobytes())
    block = images.decode_all(pa.array(raws, pa.binary()))
    assert len(raws) >= 300
    assert block.shape == (len(raws), 32, 32, 3)
    for raw, found in zip(raws, block, strict=True):
        assert same(found, by_pillow(raw))
        assert same(found, by_opencv(raw))


def test_packed_pixels_may_come_in_many_chunks_among_others(rng, build):
    pixels = noise(rng, "rgb", 20, 20)
    base = crafted(pixels, rng.integers(0, 5, 20))
    extra = chunk(b"gAMA", struct.pack(">I", 45_455)) + chunk(b"tEXt", b"Comment\0nothing") + chunk(b"prVt", b"?")
    empty = chunk(b"IDAT")
    for raw in (
        base._replace(between=1).file(),
        base._replace(between=100, before=extra + empty, after=extra).file(),
        base.file() + b"what follows is not read",
    ):
        assert same(decoded(raw), pixels)
        assert same(by_pillow(raw), pixels)


def test_more_pixels_than_the_picture_has_are_not_read(rng, build):
    pixels = noise(rng, "grey", 4, 4)
    base = crafted(pixels, [0, 1, 2, 3])
    for raw in (base._replace(rows=base.rows + b"more").file(), base._replace(packed=zlib.compress(base.rows) + b"more")
                .file()):  # fmt: skip
        assert same(decoded(raw), pixels)
        assert same(by_pillow(raw), pixels)


def test_the_form_is_read_from_the_first_bytes(rng, monkeypatch):
    monkeypatch.setattr(pictures, "_opened", None)
    for kind in KINDS:
        pixels = noise(rng, kind, 6, 5)
        raw = crafted(pixels, np.zeros(6, int)).file()
        assert stored_form(memoryview(raw))[:2] == (pixels.shape, pixels.dtype)
        assert picture_size(raw) == (6, 5)


def test_other_kinds_are_left_to_pillow(rng, build):
    image = picture(rng, width=6, height=5)
    files = {
        "palette": encoded(image.convert("P"), "PNG"),
        "one bit": encoded(image.convert("1"), "PNG"),
        "interlaced": Png(1, 1, 2, 8, b"\0abc", interlacing=1).file(),
        "suggested palette": crafted(np.asarray(image), [0] * 5)._replace(before=chunk(b"PLTE", b"abc")).file(),
    }
    for raw in files.values():
        assert png_header(raw) is None
        expected = Image.open(io.BytesIO(raw))
        assert same(decoded(raw), np.asarray(expected.convert("L" if expected.mode == "1" else "RGB")))
    transparent = crafted(np.asarray(image), [0] * 5)._replace(before=chunk(b"tRNS", bytes(6))).file()
    for raw in (encoded(image.convert("RGBA"), "PNG"), encoded(image.convert("LA"), "PNG"), transparent):
        assert png_header(raw) is None
        with pytest.raises(DecodeError, match="a picture with alpha"):
            decoded(raw)


def test_pictures_of_our_own_datasets_are_read_alike(rng, build):
    """In the channels that a field asks for, whatever the file has."""
    for kind in ("grey", "rgb"):
        pixels = noise(rng, kind, 7, 8)
        raw = crafted(pixels, rng.integers(0, 5, 7)).file()
        for channels, mode in ((1, "L"), (3, "RGB"), (4, "RGBA")):
            expected = np.asarray(Image.fromarray(pixels).convert(mode))
            out = np.empty_like(expected)
            decode_into(raw, out, max_pixels=56)
            assert same(out, expected)
            assert same(decode_new(raw, channels, max_pixels=56), expected)
            with pytest.raises(DecodeError, match="more than max_pixels=55"):
                decode_new(raw, channels, max_pixels=55)
        with pytest.raises(DecodeError, match="expected shape"):
            decode_into(raw, out[:-1], max_pixels=56)


def test_columns_of_one_form_are_one_array_and_others_a_list(rng):
    pixels = [noise(rng, "rgb", 5, 6) for _ in range(3)]
    raws = [crafted(one, [4] * 5).file() for one in pixels]
    assert same(images.decode_all(pa.array(raws, pa.binary())), np.stack(pixels))
    grey = noise(rng, "grey 16", 5, 6)
    found = images.decode_all(pa.array([*raws, crafted(grey, [3] * 5).file()], pa.binary()))
    assert isinstance(found, list)
    assert all(same(one, other) for one, other in zip(found, [*pixels, grey], strict=True))
    with pytest.raises(DecodeError) as caught:
        images.decode_all(pa.array([*raws, raws[0][:-20]], pa.binary()))
    assert caught.value.row == 3


@needs_native
def test_threads_read_at_once(rng):
    pixels = [noise(rng, "rgb", 200, 150) for _ in range(4)]
    raws = [crafted(one, rng.integers(0, 5, 200)).file() for one in pixels]
    with ThreadPoolExecutor(4) as pool:
        for found, expected in zip(pool.map(decoded, raws * 8), pixels * 8, strict=True):
            assert same(found, expected)


# ------------------------------------------------------------------------------------------------ many at once


@pytest.mark.parametrize("kind", KINDS)
def test_usual_files_are_read_at_once(rng, at_once, kind):
    for height, width in SIZES:
        pixels = np.stack([noise(rng, kind, height, width, limit) for limit in (256, 4, 1)])
        base = [crafted(one, rng.integers(0, 5, height)) for one in pixels]
        text = chunk(b"tEXt", b"a\0b")
        for raws in (
            [one.file() for one in base],
            [one._replace(between=1 + row, before=text, after=text).file() for row, one in enumerate(base)],
            [one._replace(packed=zlib.compress(one.rows) + b"more").file() + b"and more" for one in base],
        ):
            values = column([b"", *raws, raws[0]])[1:-1]  # does not begin with the first byte
            assert same(images.decode_all(values), pixels)
            assert same(images.decode_all(values.cast(pa.large_binary())), pixels)


def test_whatever_deflate_may_be_is_inflated(rng, at_once):
    """Stored, fixed and dynamic codes of all lengths, matches at all distances, small windows, empty blocks."""
    rows = [np.minimum(rng.geometric(chance, (40, 97)), 255) for chance in (0.5, 0.1, 0.02, 0.01)]
    rows += [rng.integers(0, 256, (40, 97)), np.tile(rng.integers(0, 256, 97), (40, 1)), np.zeros((40, 97), int)]
    rows += [np.full((40, 97), 255), np.arange(40 * 97).reshape(40, 97) // 7 % 256]
    weights = 0.6 ** np.arange(256)  # codes of up to 15 bits
    rows += [rng.choice(256, (40, 97), p=weights / weights.sum())]
    raws, expected = [], []
    strategies = (zlib.Z_DEFAULT_STRATEGY, zlib.Z_FILTERED, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE, zlib.Z_FIXED)
    for one in rows:
        one[:, 0] = 0
        content = one.astype(np.uint8)
        for level, strategy, window in ((0, 0, 15), *((9, kind, bits) for kind in strategies for bits in (9, 15))):
            packer = zlib.compressobj(level, zlib.DEFLATED, window, 9, strategy)
            packed = b"".join(
                packer.compress(part.tobytes()) + packer.flush(zlib.Z_FULL_FLUSH if window == 9 else zlib.Z_NO_FLUSH)
                for part in (content[:1], content[1:30], content[30:])
            )
            raws.append(Png(32, 40, 2, 8, b"", packed=packed + packer.flush()).file())
            expected.append(content[:, 1:].reshape(40, 32, 3))
    assert same(images.decode_all(column(raws)), np.stack(expected))


@needs_native
def test_unusual_files_among_many_are_read_or_refused_one_by_one(rng):
    pixels = np.stack([noise(rng, "rgb", 5, 6) for _ in range(6)])
    base = [crafted(one, [4] * 5) for one in pixels]
    raws = [one.file() for one in base]
    raws[2] = base[2]._replace(before=chunk(b"PLTE", b"abc")).file()
    raws[3] = base[3]._replace(rows=base[3].rows + b"more").file()
    assert same(images.decode_all(column(raws)), pixels)
    alpha = base[4]._replace(before=chunk(b"tRNS", bytes(6))).file()
    for wrong, message in ((raws[0][:-20], "cut"), (alpha, "alpha"), (b"", "no picture"), (raws[0][:33], "cut off")):
        with pytest.raises(DecodeError, match=message) as caught:
            images.decode_all(column([*raws[:4], wrong, raws[5]]))
        assert caught.value.row == 4
    deep = crafted(noise(rng, "rgb 16", 5, 6), [1] * 5)
    by_another = deep._replace(before=chunk(b"PLTE", b"abc")).file()  # Pillow would give 8 bits of it
    both = images.decode_all(column([deep.file(), by_another]))
    assert both.dtype == np.uint16
    assert same(both[0], both[1])
    assert images.decode_all(column([])) == []


@needs_native
def test_what_zlib_inflates_is_read_and_one_of_many_as_one_alone(rng):
    base = crafted(noise(rng, "grey", 8, 8, 16), [0] * 8)
    taken = 0
    for strategy in (zlib.Z_DEFAULT_STRATEGY, zlib.Z_FIXED):
        packer = zlib.compressobj(9, zlib.DEFLATED, 15, 9, strategy)
        packed = packer.compress(base.rows) + packer.flush()
        for _ in range(2_000):
            damaged = bytearray(packed[:-ADLER])
            for bit in rng.integers(16, 8 * len(damaged), rng.integers(1, 4)).tolist():
                damaged[bit // 8] ^= 1 << bit % 8
            is_right, content = False, b""
            with suppress(zlib.error):
                content = zlib.decompressobj(-15).decompress(damaged[2:])
                damaged += zlib.adler32(content).to_bytes(ADLER, "big")
                is_right = len(zlib.decompress(damaged)) == 72 and max(content[::9]) <= 4
            raw = base._replace(packed=bytes(damaged)).file()
            found, expected = np.empty((1, 8, 8), np.uint8), np.empty((8, 8), np.uint8)
            data, header = np.frombuffer(raw, np.uint8), png.png_header(raw)
            is_read = False
            with suppress(DecodeError):
                png.read_png(raw, header, expected)
                is_read = True
            assert png.read_pngs(data, np.array([0, len(raw)]), header, found) == is_read >= is_right
            assert not is_read or same(found[0], expected)
            if is_right:
                png._native.unfilter(content, expected, 8, 8, 1)
                assert same(found[0], expected)
            taken += is_right
    assert taken > 100


@needs_native
def test_finding_pixels_refuses_sizes_that_do_not_fit(rng):
    raw = crafted(noise(rng, "rgb", 2, 2), [0, 0]).file()
    files, spans, places = raw * 2, np.empty((2, 2), np.int64), np.array([0, len(raw), 2 * len(raw)])
    assert png._native.find_pixels(files, places, spans, raw[:33]) == 2
    assert [files[begin:end] for begin, end in spans] == [raw[41:-16]] * 2
    for arguments in (
        (files, places[:1], spans, raw[:33]), (files, places[:0], spans, raw[:33]),
        (files[:-1], places, spans, raw[:33]), (files, places[::-1].copy(), spans, raw[:33]),
        (files, places - 1, spans, raw[:33]), (files, places.tobytes() + b"0", spans, raw[:33]),
        (files, places, spans[:1], raw[:33]), (files, places, b"", raw[:33]), (files, places, spans, raw[:32]),
    ):  # fmt: skip
        with pytest.raises((ValueError, BufferError, TypeError), match=r"do not fit|read-write"):
            png._native.find_pixels(*arguments)


# ------------------------------------------------------------------------------------------------ damage


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_cut_anywhere_is_refused(rng, build, kind):
    base = crafted(noise(rng, kind, 8, 8), rng.integers(0, 5, 8))
    raw = base._replace(between=60, after=chunk(b"tEXt", b"a\0b")).file()
    for end in range(len(raw)):
        with pytest.raises(DecodeError):
            decoded(raw[:end])


def test_a_flipped_bit_anywhere_is_refused_or_changes_nothing(rng, build):
    pixels = noise(rng, "rgb", 8, 8)
    raw = crafted(pixels, rng.integers(0, 5, 8))._replace(before=chunk(b"tEXt", b"a\0b")).file()
    refused = 0
    for bit in rng.choice(len(raw) * 8, 500, replace=False).tolist():
        damaged = bytearray(raw)
        damaged[bit // 8] ^= 1 << bit % 8
        try:
            assert same(decoded(bytes(damaged)), pixels)
        except DecodeError:
            refused += 1
    assert refused > 450


def test_flipped_bits_under_right_checksums_give_nothing_that_pillow_does_not_see(rng, build):
    base = crafted(noise(rng, "rgb", 8, 8), rng.integers(0, 5, 8))
    packed = zlib.compress(base.rows)
    for bit in range(len(packed) * 8):
        damaged = bytearray(packed)
        damaged[bit // 8] ^= 1 << bit % 8
        raw = base._replace(packed=bytes(damaged)).file()
        with suppress(DecodeError):
            assert same(decoded(raw), by_pillow(raw))


def test_what_a_header_does_not_say_is_damage(rng, compiled):
    base = crafted(noise(rng, "rgb", 8, 8), np.arange(8) % 5)
    packed = zlib.compress(base.rows)
    wrong = {
        "no checksum": base._replace(packed=packed[:-ADLER]),
        "another checksum": base._replace(packed=packed[:-ADLER] + bytes(ADLER)),
        "too few pixels": base._replace(rows=base.rows[:-1]),
        "no pixels": base._replace(packed=b"\0"),
        "a dictionary": base._replace(packed=b"\x78\xbb" + bytes(20)),
        "a filter that does not exist": base._replace(rows=b"\5" + base.rows[1:]),
        "it is larger": base._replace(height=9),
        "it has no size": base._replace(height=0),
    }
    for parts in wrong.values():
        with pytest.raises(DecodeError):
            decoded(parts.file())
    with pytest.raises(DecodeError):
        decoded(base.file().replace(b"IDAT", b"IDAU"))


def test_a_bomb_takes_no_more_memory_than_the_picture(compiled):
    packer = zlib.compressobj(9)
    packed = b"".join([*(packer.compress(bytes(1 << 20)) for _ in range(20)), packer.flush()])
    raw = Png(64, 64, 2, 8, b"", packed=packed).file()
    tracemalloc.start()
    try:
        assert not decoded(raw).any()
        assert tracemalloc.get_traced_memory()[1] < 500_000
    finally:
        tracemalloc.stop()
    with pytest.raises(DecodeError, match="more than 40,000,000"):
        decoded(Png(50_000, 50_000, 2, 8, b"", packed=packed).file())


@needs_native
def test_of_many_small_bombs_no_more_than_one_is_unpacked_at_a_time():
    packer = zlib.compressobj(9)
    raw = Png(8, 8, 2, 8, b"", packed=packer.compress(bytes(1 << 20)) + packer.flush()).file()
    assert len(raw) < 1_200
    places, out = np.arange(101) * len(raw), np.ones((100, 8, 8, 3), np.uint8)
    tracemalloc.start()
    try:
        assert png.read_pngs(np.frombuffer(raw * 100, np.uint8), places, png.png_header(raw), out) == 100
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()
    assert not out.any()


@needs_native
def test_the_compiled_module_refuses_sizes_that_do_not_fit():
    rows, out = bytes(4 * 7), bytearray(4 * 6)
    assert png._native.unfilter(rows, out, 4, 6, 3) == png._native.unfilter(rows, out, 1, 6, 3) == 4
    for arguments in (
        (rows[:-1], out, 4, 6, 3), (rows, out + b"\0", 4, 6, 3), (rows, out, 4, 6, 4), (rows, out, 4, 6, 0),
        (rows, out, 4, 0, 3), (rows, out, 4, -6, 3), (rows, out, 4, 4, 3), (rows, bytearray(), 4, 6, 3),
        (rows, out, 1, 2**62, 2), (b"", out, 1, 1, 1), (rows, out, 3, 6, 3), (rows, out, 0, 6, 3),
        (rows, out, -1, 6, 3),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="do not fit"):
            png._native.unfilter(*arguments)
    assert png._native.unfilter(bytes(14) + b"\5" + bytes(13), out, 4, 6, 3) == 2


@needs_native
def test_the_first_row_of_each_picture_has_zeros_above(rng):
    pixels = [noise(rng, "rgb", 5, 6) for _ in range(3)]
    out = np.empty((3, 5, 6, 3), np.uint8)
    assert png._native.unfilter(b"".join(crafted(one, [2, 4, 3, 2, 4]).rows for one in pixels), out, 5, 18, 3) == 15
    assert same(out, np.stack(pixels))
