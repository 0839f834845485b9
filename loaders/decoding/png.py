"""PNG of the common kinds into pixels: grey or RGB, 8 or 16 bits, not interlaced; all checksums are checked.

Inflated by ISA-L, to no more bytes than the picture has; the filters are undone by the compiled `_png`. That also looks
over many of one form at once, without the GIL, up to one that is damaged or unusual: it is read, or refused, by itself.
Pixels are those of Pillow and OpenCV; tests/petastorm/test_png.py compares them. What a file says beyond its pixels,
such as gamma or a colour profile, is not applied. Other kinds, with a palette, alpha or fewer bits, are Pillow's.
"""

from __future__ import annotations

import importlib
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress
from types import ModuleType
from typing import NamedTuple

import numpy as np
from isal import igzip_lib, isal_zlib

from loaders.axes import Array, Ints, Octets
from loaders.errors import DecodeError

_native: ModuleType | None = None
with suppress(ImportError):  # not compiled
    _native = importlib.import_module("loaders.decoding._png")
if _native is not None and not hasattr(_native, "find_pixels"):
    raise ImportError("loaders.decoding._png was compiled from older code; run `python setup.py build_ext --inplace`")

_unpack, _ZLIB = igzip_lib.decompress, igzip_lib.DECOMP_ZLIB

Raw = bytes | bytearray | memoryview

_START = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR"
_HEADER = struct.Struct(">IIBBBBBI")  # width, height, bits, colour, compression, filter method, interlacing, CRC-32
_FIRST_CHUNK = len(_START) + _HEADER.size
_CHUNK = struct.Struct(">I4s")  # bytes of content, name; after the content comes the CRC-32 of name and content
_CRC = struct.Struct(">I")
_CHANNELS = {0: 1, 2: 3}
_DEEP_CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}
_ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
_WHOLE = ((0, 0, 1, 1),)
"""Of each pass of an interlaced picture: first row, first column, step of rows, step of columns."""
_FILTERED_AT_ONCE = 256 << 10
"""Bytes of small pictures whose filters are undone together: they stay in the processor's cache."""
_MORE_PACKED = 1 << 10
"""Bytes by which packed pixels may be more than the pixels: what random ones take, of a hundred KB."""
_FOR_PILLOW = (b"tRNS", b"acTL")  # alpha, and a picture that moves
_IS_OPTIONAL = 0x20  # the bit of a chunk's name that is set where it may be passed over


class PngHeader(NamedTuple):
    """What a PNG that is read here says first."""

    height: int
    width: int
    channels: int
    """1 (grey) or 3."""
    bits: int
    """8 or 16."""
    pixels_at: int
    """Where the first chunk of pixels begins."""


def png_header(raw: Raw) -> PngHeader | None:
    """Read what a PNG says before its pixels. None: it is none, of another kind or damaged; Pillow is to decide."""
    if raw[: len(_START)] != _START or len(raw) < _FIRST_CHUNK:
        return None
    width, height, bits, colour, *methods, crc = _HEADER.unpack_from(raw, len(_START))
    is_ours = colour in _CHANNELS and bits in (8, 16) and methods == [0, 0, 0] and height > 0 < width
    if not is_ours or isal_zlib.crc32(raw[12 : _FIRST_CHUNK - 4]) != crc:
        return None
    at, end = _FIRST_CHUNK, len(raw) - _CHUNK.size
    while at <= end:
        size, name = _CHUNK.unpack_from(raw, at)
        if name == b"IDAT":
            return PngHeader(height, width, _CHANNELS[colour], bits, at)
        if name in _FOR_PILLOW or not name[0] & _IS_OPTIONAL:
            return None
        at += 12 + size
    return None


def deep_png_header(raw: Raw) -> PngHeader:
    """Read what a PNG of 16 bits says first, whatever its channels; interlacing is told by `read_deep_png`.

    Raises:
        DecodeError: If it is damaged.
    """
    if raw[: len(_START)] != _START or len(raw) < _FIRST_CHUNK:
        raise DecodeError("damaged PNG: no header")
    width, height, bits, colour, *methods, crc = _HEADER.unpack_from(raw, len(_START))
    if isal_zlib.crc32(raw[12 : _FIRST_CHUNK - 4]) != crc or colour not in _DEEP_CHANNELS:
        raise DecodeError("damaged PNG: the checksum of its header differs, or its colours are unknown")
    if not (height > 0 < width) or bits != 16 or methods[:2] != [0, 0] or methods[2] > 1:
        raise DecodeError(f"damaged PNG: {width}x{height} pixels of {bits} bits, packed by methods {methods}")
    return PngHeader(height, width, _DEEP_CHANNELS[colour], bits, _FIRST_CHUNK)


def read_deep_png(raw: Raw, header: PngHeader, out: Array) -> None:
    """Read the pixels of a PNG of 16 bits, interlaced or not.

    Args:
        raw: The file.
        header: Its `deep_png_header`.
        out: uint16, C-contiguous: (H, W), or (H, W, channels).

    Raises:
        DecodeError: If it is damaged or cut off.
    """
    is_interlaced = raw[_FIRST_CHUNK - 5] == 1
    if not is_interlaced and header.channels in (1, 3):
        read_png(raw, header, out)
        return
    # A pass without a pixel has no rows in the file.
    parts = [part for y, x, dy, dx in (_ADAM7 if is_interlaced else _WHOLE) if (part := out[y::dy, x::dx]).size]
    # sizes: bytes of each part, with one for the filter of each row
    sizes = [len(part) * (1 + part.shape[1] * 2 * header.channels) for part in parts]
    packed = np.frombuffer(_inflated(_pixel_parts(raw), sum(sizes)), np.uint8)
    for part, size in zip(parts, sizes, strict=True):
        rows, packed = packed[:size].reshape(len(part), -1), packed[size:]
        # filtered: (rows, pixels of a row, channels, bytes of a value)
        filtered = rows[:, 1:].reshape(*part.shape[:2], header.channels, 2)
        for channel in range(header.channels):
            # A filter looks at the same byte of other pixels: each channel can be read as a picture of its own.
            own = np.concatenate((rows[:, :1], filtered[:, :, channel].reshape(len(part), -1)), axis=1)
            pixels = np.empty(part.shape[:2], dtype=np.uint16)
            _undo_filters(own, pixels, 2)
            part[(..., channel) if part.ndim == 3 else ...] = pixels


def is_read_here(header: PngHeader) -> bool:
    """Return whether `read_png` reads it: all if the module is compiled, else what Pillow would cut to 8 bits."""
    return _native is not None or (header.bits == 16 and header.channels == 3)


def read_png(raw: Raw, header: PngHeader, out: Array) -> None:
    """Read the pixels of a PNG.

    Args:
        raw: The file.
        header: Its `png_header`.
        out: C-contiguous: (H, W), or (H, W, 3) if it is not grey; uint8, or uint16 if it has 16 bits.

    Raises:
        DecodeError: If it is damaged or cut off.
    """
    pixel_bytes = header.channels * header.bits // 8
    rows = _inflated(_pixel_parts(raw), header.height * (1 + header.width * pixel_bytes))
    _undo_filters(np.frombuffer(rows, np.uint8), out, pixel_bytes)


def are_alike(data: Octets, places: Ints) -> bool:
    """Return whether files are PNGs that begin as the first one does, up to the end of the chunk with their form.

    Args:
        data: The bytes of the files, one after the other.
        places: Where each begins, one or more, and where the last ends.
    """
    if np.diff(places).min() < _FIRST_CHUNK:
        return False
    kind = np.dtype((np.void, _FIRST_CHUNK))
    starts = np.ndarray(len(data) - _FIRST_CHUNK + 1, kind, data, strides=(1,))[places[:-1]].tobytes()
    return starts.startswith(_START) and starts == starts[:_FIRST_CHUNK] * (len(places) - 1)


def read_pngs(data: Octets, places: Ints, header: PngHeader, out: Array) -> int:
    """Read files that are alike, up to the first that only `read_png` or Pillow can read or refuse.

    Args:
        data: As for `are_alike`; contiguous.
        places: As for `are_alike`.
        header: The `png_header` of the first file.
        out: C-contiguous: for each file as for `read_png`.

    Returns:
        How many were read; what `out` has of the others is undefined.
    """
    if _native is None:
        return 0
    pixel_bytes = header.channels * header.bits // 8
    row_bytes = header.width * pixel_bytes
    size, raw = header.height * (1 + row_bytes), memoryview(data)  # type: ignore[arg-type]
    spans = np.empty((len(places) - 1, 2), np.int64)  # (files, begin and end of the packed pixels)
    found: int = _native.find_pixels(data, places, spans, raw[places[0] :][:_FIRST_CHUNK])
    at_once = max(1, _FILTERED_AT_ONCE // size)
    for first in range(0, found, at_once):
        last = min(first + at_once, found)
        here = spans[first:last]
        rows = _all_inflated(raw, here, size) or _inflated_one_by_one(raw, places[first : last + 1], here, size)
        pictures = out[first : first + len(rows)]
        done = _native.unfilter(b"".join(rows), pictures, header.height, row_bytes, pixel_bytes) if rows else 0
        _to_native(pictures)
        if done < (last - first) * header.height:
            return first + int(done) // header.height
    return found


def _all_inflated(raw: memoryview, spans: Ints, size: int) -> list[bytes]:
    """Return the rows of pictures that are as they are to be, none if one of them is not.

    In one call each: what unpacks step by step costs three times as much to set up as a picture of 8 x 8 to unpack.
    """
    packed = spans[:, 1] - spans[:, 0]
    if packed.min() < 0 or packed.max() > size + _MORE_PACKED:
        return []  # in several chunks; or packed to more bytes than it has, and so of no known limit
    with suppress(igzip_lib.IsalError):  # type: ignore[arg-type]
        rows: list[bytes] = []
        for begin, end in spans.tolist():
            content = _unpack(raw[begin:end], _ZLIB, 15, size + 1)
            if len(content) != size:  # here and not at the end: of bombs, one is unpacked
                return []
            rows.append(content)
        return rows
    return []


def _inflated_one_by_one(raw: memoryview, places: Ints, spans: Ints, size: int) -> list[bytes]:
    """Return the rows of pictures up to the first that cannot be unpacked."""
    rows: list[bytes] = []
    with suppress(DecodeError):
        for file, (begin, end) in enumerate(spans.tolist()):
            parts = _pixel_parts(raw[places[file] : places[file + 1]]) if end < 0 else [raw[begin:end]]
            rows.append(_inflated(parts, size)[:size])
    return rows


def check_png(raw: Raw) -> None:
    """Check a PNG that another is to read, which checks the header.

    Raises:
        DecodeError: If a checksum differs, or the file is cut off.
    """
    _pixel_parts(raw)


def _pixel_parts(raw: Raw) -> list[memoryview]:
    """Return the packed pixels of a PNG, in one or more parts, after having checked the file to its end mark."""
    parts: list[memoryview] = []
    is_over = False
    for name, content in _chunks(memoryview(raw)):
        if name != b"IDAT":
            is_over = bool(parts)
        elif not is_over:
            parts.append(content)
    return parts


def _chunks(raw: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Yield name and content of the chunks between the header and the end mark.

    Raises:
        DecodeError: If a checksum differs, or the file is cut off.
    """
    at, end = _FIRST_CHUNK, len(raw) - 12
    while at <= end:
        size, name = _CHUNK.unpack_from(raw, at)
        crc_at = at + 8 + size
        if crc_at > len(raw) - 4:
            break
        if isal_zlib.crc32(raw[at + 4 : crc_at]) != _CRC.unpack_from(raw, crc_at)[0]:
            raise DecodeError(f"damaged PNG: the checksum of chunk {name!r} at byte {at:,} differs")
        if name == b"IEND":
            return
        yield name, raw[at + 8 : crc_at]
        at = crc_at + 4
    raise DecodeError(f"damaged PNG: it is cut off, or a chunk is; it has {len(raw):,} bytes", rule="truncated")


def _inflated(parts: list[memoryview], size: int) -> bytes:
    """Return what was packed: `size` bytes, or one more if there are more."""
    unpacker = isal_zlib.decompressobj()
    try:
        content: bytes = unpacker.decompress(parts[0] if len(parts) == 1 else b"".join(parts), max_length=size + 1)
    except isal_zlib.IsalError as error:  # type: ignore[misc]
        raise DecodeError(f"damaged PNG: {error}") from error
    if len(content) < size or (len(content) == size and not unpacker.eof):
        raise DecodeError(f"damaged PNG: {size:,} bytes of pixels and a checksum are expected, found {len(content):,}")
    return content


def _undo_filters(rows: Octets, out: Array, pixel_bytes: int) -> None:
    height, row_bytes = len(out), out.shape[1] * pixel_bytes
    unfilter = _unfilter if _native is None else _native.unfilter
    done = unfilter(rows, out, height, row_bytes, pixel_bytes)
    if done < height:
        kind = rows.reshape(-1)[done * (1 + row_bytes)]
        raise DecodeError(f"damaged PNG: row {done} has filter {kind}, of 0 to 4")
    _to_native(out)


def _to_native(pixels: Array) -> None:
    if pixels.itemsize == 2 and sys.byteorder == "little":
        pixels.byteswap(inplace=True)


def _unfilter(rows: Octets, out: Array, height: int, row_bytes: int, pixel_bytes: int) -> int:
    """Undo the filters as the compiled module does, some hundred times slower."""
    rows = rows.reshape(-1)[: height * (1 + row_bytes)].reshape(height, 1 + row_bytes)
    # above, row: (pixels and one of zeros before them, bytes of a pixel)
    above = np.zeros((1 + row_bytes // pixel_bytes, pixel_bytes), dtype=np.int16)
    for number, (kind, target) in enumerate(zip(rows[:, 0].tolist(), out.view(np.uint8), strict=True)):
        row = np.zeros_like(above)
        row[1:] = rows[number, 1:].reshape(-1, pixel_bytes)
        if kind > 4:
            return number
        if kind == 1:
            np.cumsum(row, axis=0, out=row, dtype=np.int16)
        elif kind == 2:
            row += above
        elif kind > 2:
            for at in range(1, len(row)):
                left, up, corner = row[at - 1], above[at], above[at - 1]
                row[at] += (left + up) >> 1 if kind == 3 else _nearest(left, up, corner)
                row[at] &= 0xFF
        row &= 0xFF
        target[...] = row[1:].reshape(target.shape)
        above = row
    return height


def _nearest(left: Array, up: Array, corner: Array) -> Array:
    """Return of three neighbours the one nearest to left + up - corner; the first of equals."""
    distances = np.abs([up - corner, left - corner, left + up - 2 * corner])
    nearest: Array = np.choose(distances.argmin(axis=0), [left, up, corner])
    return nearest
