"""What a picture's file is, and whether it is whole: looked up in the container, without decoding a pixel.

Pillow decodes a GIF, a TIFF or an animation without asking whether all of it is there, and a PNG without looking at
its checksums. Whoever hands a file to Pillow asks here first, so that a cut file is refused by all alike.
"""

from __future__ import annotations

import importlib.util
import re
import struct
from typing import NamedTuple

from loaders.decoding.png import check_png
from loaders.errors import DecodeError

Raw = bytes | bytearray | memoryview

HEAD_BYTES = 64
"""How much `format_of` looks at."""

_MAGIC = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
)
_BMP_HEADERS = frozenset((12, 16, 40, 52, 56, 64, 108, 124))
# Raw rasters, and the plain ones where a number follows, so that no text is taken for one.
_PORTABLE = re.compile(rb"P(?:[456f][ \t\r\n#]|[123]\s+(?:#[^\n]*\n\s*)*\d)")
_AV1_BRANDS, _MIXED_BRANDS = (b"avif", b"avis"), (b"mif1", b"msf1")
_HEVC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx")
_READS_HEIC = importlib.util.find_spec("pillow_heif") is not None
"""Without the library a HEIC is no picture that is read: the lake takes it as bytes of no kind."""
_FOR_PIXELS = frozenset((b"PLTE", b"tRNS", b"IDAT", b"eXIf", b"acTL", b"fcTL", b"fdAT"))
_PNG_START = 33
"""Bytes of its signature and header."""

_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of a JPEG's frame header."""

_STRIPS = {273: 279, 324: 325}
"""Of a TIFF: tag with the places of its strips or tiles -> tag with their sizes."""
_TIFF_TYPES = {3: "H", 4: "L", 16: "Q"}
_MAX_PAGES = 100_000


class GifLayout(NamedTuple):
    """Canvas and number of frames of a GIF. The canvas holds every frame, as Pillow will enlarge it to."""

    width: int
    height: int
    frames: int


def format_of(raw: Raw) -> str | None:
    """Return Pillow's name of the one decoder that the first bytes call for; None: no picture that is read."""
    head = bytes(raw[:HEAD_BYTES])
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    if head.startswith(b"BM") and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return "BMP"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp":
        others = head[16 : int.from_bytes(head[:4], "big")]
        is_mixed = head[8:12] in _MIXED_BRANDS and any(brand in others for brand in _AV1_BRANDS)
        if head[8:12] in _AV1_BRANDS or is_mixed:
            return "AVIF"
        return "HEIF" if _READS_HEIC and head[8:12] in (*_HEVC_BRANDS, *_MIXED_BRANDS) else None
    return "PPM" if _PORTABLE.match(head) else None


def check_container(raw: Raw, name: str) -> None:
    """Check that a PNG, WebP, TIFF, AVIF or HEIC is whole; others are left to who decodes them, GIF to `gif_layout`.

    Raises:
        DecodeError: truncated, or undecodable.
    """
    if name == "PNG":
        check_png(raw)
    elif name == "WEBP":
        stated = 8 + int.from_bytes(raw[4:8], "little")
        if len(raw) < stated:
            raise _truncated(raw, f"where the RIFF header states {stated:,}")
    elif name == "TIFF":
        _check_tiff(raw)
    elif name in ("AVIF", "HEIF"):
        _check_boxes(raw)


def gif_layout(raw: Raw) -> GifLayout:
    """Walk the blocks of a GIF. Behind a whole frame the end mark may be missing, or something else may follow.

    Raises:
        DecodeError: truncated, or undecodable.
    """
    if len(raw) < 13:
        raise _truncated(raw, "inside the GIF header")
    width, height = _u16(raw, 6), _u16(raw, 8)
    position, frames = 13 + _colours(raw[10]), 0
    while True:
        if frames and position == len(raw):
            break
        block = _byte(raw, position)
        if block == 0x21:
            position = _after_blocks(raw, position + 2)
        elif block == 0x2C:
            packed = _byte(raw, position + 9)
            width = max(width, _u16(raw, position + 1) + _u16(raw, position + 5))
            height = max(height, _u16(raw, position + 3) + _u16(raw, position + 7))
            position = _after_blocks(raw, position + 11 + _colours(packed))
            frames += 1
        elif block == 0:
            position += 1
        elif block == 0x3B or frames:
            break
        else:
            raise DecodeError(f"damaged GIF: unknown block 0x{block:02x} at byte {position:,}")
    if not frames:
        raise DecodeError("damaged GIF: it has no frame")
    return GifLayout(width, height, frames)


def webp_canvas(raw: Raw) -> tuple[int, int]:
    """Return width and height of a WebP's canvas; (0, 0) if the header shows none.

    Pillow's decoder allocates the canvas of a WebP while opening it, so its size must be known before.
    """
    head = bytes(raw[:30])
    kind = head[12:16]
    if len(head) < 30:
        return 0, 0
    if kind == b"VP8X":
        return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
    if kind == b"VP8L":
        packed = int.from_bytes(head[21:25], "little")
        return 1 + (packed & 0x3FFF), 1 + ((packed >> 14) & 0x3FFF)
    return int.from_bytes(head[26:28], "little") & 0x3FFF, int.from_bytes(head[28:30], "little") & 0x3FFF


def slim_png(raw: Raw) -> Raw:
    """Return a PNG without what says nothing about its pixels, as far as it goes; nothing is checked.

    Pillow refuses a picture for a long text or colour profile, or a bad resolution; no pixel depends on them.
    """
    kept, at, is_slim = [raw[:_PNG_START]], _PNG_START, False
    while at + 8 <= len(raw):
        name = bytes(raw[at + 4 : at + 8])
        end = at + 12 + int.from_bytes(raw[at : at + 4], "big")
        if name in _FOR_PIXELS or not name[0] & 0x20:  # what may not be passed over is Pillow's to judge
            kept.append(raw[at:end])
        else:
            is_slim = True
        at = len(raw) if name == b"IEND" else end
    return b"".join(kept) if is_slim else raw


def missing_components(raw: Raw) -> set[int]:
    """Return the components of a JPEG that no scan holds: libjpeg makes them grey, without a word."""
    data, at = bytes(raw), 2
    declared, held = set[int](), set[int]()
    while 0 <= (at := data.find(b"\xff", at)) < len(data) - 4:
        marker, body = data[at + 1], at + 4
        if marker == 0xD9:
            break
        if marker in _FRAMES:
            declared = set(data[body + 6 : body + 6 + 3 * data[body + 5] : 3])
        elif marker == 0xDA:
            held |= set(data[body + 1 : body + 1 + 2 * data[body] : 2])
        at += jpeg_step(data, at)
    return declared - held


def jpeg_step(data: bytes, at: int) -> int:
    """Return how far it is from the 0xff at `at` in a JPEG to where the next may stand."""
    marker = data[at + 1]
    if marker == 0xFF:
        return 1
    # In a scan, a zero or the mark of a restart follows; else comes a segment of a stated length.
    is_bare = marker in (0x00, 0x01) or 0xD0 <= marker <= 0xD9
    return 2 if is_bare else 2 + (data[at + 2] << 8 | data[at + 3])


def av1_depth(raw: Raw) -> int:
    """Return the bits of a sample of an AVIF: 8, 10 or 12, the most of its pictures."""
    depth, data = 8, bytes(raw)
    for found in re.finditer(rb"av1C\x81.(.)", data[: 1 << 20], re.DOTALL):
        flags = found[1][0]
        if flags & 0x40:
            depth = max(depth, 12 if flags & 0x20 else 10)
    return depth


def hevc_depth(raw: Raw) -> int:
    """Return the bits of a sample of a HEIC, the most of its pictures (ISO/IEC 14496-15, 8.3.3.1.2)."""
    found = re.finditer(rb"hvcC\x01.{16}(..)", bytes(raw)[: 1 << 20], re.DOTALL)
    return max((8 + (byte & 7) for each in found for byte in each[1]), default=8)


def _check_tiff(raw: Raw) -> None:
    """Check that the strips or tiles of each page lie inside the file."""
    order = "<" if raw[:1] == b"I" else ">"
    is_big = raw[2 if order == "<" else 3] == 43
    count_form, entry_form, place_form = ("Q", "HHQ8s", "Q") if is_big else ("H", "HHL4s", "L")
    at, seen = _unpacked(raw, order + place_form, 8 if is_big else 4)[0], set[int]()
    while at and at not in seen and len(seen) < _MAX_PAGES:
        seen.add(at)
        (count,) = _unpacked(raw, order + count_form, at)
        at += struct.calcsize(order + count_form)
        size = struct.calcsize(order + entry_form)
        if at + count * size > len(raw):
            raise _truncated(raw, "inside the directory of a TIFF's page")
        entries = {}
        for place in range(at, at + count * size, size):
            tag, kind, values, inside = struct.unpack_from(order + entry_form, raw, place)
            if tag in _STRIPS or tag in _STRIPS.values():
                entries[tag] = _tiff_values(raw, order, kind, values, inside, place_form)
        for places, sizes in _STRIPS.items():
            for start, length in zip(entries.get(places, ()), entries.get(sizes, ()), strict=False):
                if start + length > len(raw):
                    raise _truncated(raw, f"where a strip of the TIFF ends at byte {start + length:,}")
        at = _unpacked(raw, order + place_form, at + count * size)[0]


def _tiff_values(raw: Raw, order: str, kind: int, count: int, inside: bytes, place_form: str) -> tuple[int, ...]:
    if kind not in _TIFF_TYPES:
        return ()
    if count > len(raw):
        raise _truncated(raw, f"where a directory of the TIFF names {count:,} strips")
    form = f"{order}{count}{_TIFF_TYPES[kind]}"
    if struct.calcsize(form) <= len(inside):
        return struct.unpack_from(form, inside)
    return _unpacked(raw, form, struct.unpack(order + place_form, inside)[0])


def _unpacked(raw: Raw, form: str, at: int) -> tuple[int, ...]:
    if at + struct.calcsize(form) > len(raw):
        raise _truncated(raw, "inside a directory of the TIFF")
    return struct.unpack_from(form, raw, at)


def _check_boxes(raw: Raw) -> None:
    """Check that the boxes of an AVIF or HEIC lie inside the file."""
    at = 0
    while at + 8 <= len(raw):
        size = int.from_bytes(raw[at : at + 4], "big")
        if size == 1:
            size = int.from_bytes(raw[at + 8 : at + 16], "big")
        if size == 0:  # up to the end
            return
        if size < 8:
            break  # what follows a picture is none of its boxes
        if at + size > len(raw):
            raise _truncated(raw, f"inside the box at byte {at:,}")
        at += size


def _after_blocks(raw: Raw, position: int) -> int:
    while size := _byte(raw, position):
        position += 1 + size
    return position + 1


def _colours(packed: int) -> int:
    return 3 << ((packed & 7) + 1) if packed & 0x80 else 0


def _byte(raw: Raw, position: int) -> int:
    if position >= len(raw):
        raise _truncated(raw, "before its end mark")
    return raw[position]


def _u16(raw: Raw, position: int) -> int:
    return _byte(raw, position) | (_byte(raw, position + 1) << 8)


def _truncated(raw: Raw, where: str) -> DecodeError:
    return DecodeError(f"truncated: it ends after {len(raw):,} bytes, {where}", rule="truncated")
