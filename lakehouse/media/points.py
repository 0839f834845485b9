"""One point cloud: what its header says, and whether its points are there. PLY, PCD, LAS and LAZ, by plain reading.

Every problem is a `RejectedInputError` with one of the rules below; nothing else is raised for any bytes.

    empty               no bytes
    too_large           more bytes than the limit
    too_many_points     more points than the limit, by the header
    extension_mismatch  the name claims another kind than the bytes are
    unknown_type        the name claims a point cloud and the bytes are of no type we know
    truncated           the header states more points than the file has bytes for
    undecodable         a header that is none

Formats: PLY 1.0 (G. Turk, 1994), PCD 0.7 (Point Cloud Library, "The PCD file format"), LAS 1.0 to 1.4 (ASPRS, LAS
Specification 1.4-R15, section 2.4). Packed points (LAZ, PCD binary_compressed) are counted, not unpacked.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from lakehouse.errors import RejectedInputError
from lakehouse.media.limits import DEFAULT_POINTS_LIMITS, PointsLimits
from lakehouse.media.signature import type_among
from lakehouse.media.sniff import Data

PROBE_VERSION = 2
"""Raised when the same file would be judged otherwise: what an older probe rejected is looked at again."""

PREFIX = "application/x-pointcloud"
CLOUDS = (f"{PREFIX}.ply", f"{PREFIX}.pcd", f"{PREFIX}.las")
"""The media types that are read; they begin with `PREFIX`."""

MOST_HEADER = 64 << 10
MOST_FIELDS = 1024
AXES = ("x", "y", "z")

_PLY_TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2", "ushort": "u2",
    "uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4", "float": "f4", "float32": "f4",
    "double": "f8", "float64": "f8",
}  # fmt: skip
_PLY_ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
_PCD_TYPES = {("I", 1): "i1", ("I", 2): "i2", ("I", 4): "i4", ("I", 8): "i8", ("U", 1): "u1", ("U", 2): "u2",
              ("U", 4): "u4", ("U", 8): "u8", ("F", 4): "f4", ("F", 8): "f8"}  # fmt: skip
_NUMBER = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class PointsFacts:
    """What the header of a point cloud says.

    Attributes:
        media_type: One of `CLOUDS`.
        points: Number of points.
        fields: What each has, in order: x, y, z, intensity, red ... Of a LAS file its format of points: `format 3`.
        coding: ascii, binary or packed.
        start: Byte at which the points begin.
        dtype: Of one point, where they lie side by side; None: they are text, packed or behind something else.
        bounds: Least and greatest x, y and z as the header states them; None: it states none.
        captured_at: None: no point cloud says so by its time of day.
        pixel_type: None: it has no pixels.
    """

    media_type: str
    points: int
    fields: tuple[str, ...]
    coding: str
    start: int
    dtype: np.dtype[np.void] | None = None
    bounds: tuple[tuple[float, float], ...] | None = None
    captured_at: datetime | None = None
    pixel_type: str | None = None


def probe_points(data: Data, *, name: str, limits: PointsLimits = DEFAULT_POINTS_LIMITS) -> PointsFacts:
    """Return what a point cloud is whose points are there, as far as its header tells.

    Args:
        data: The file, as bytes or mapped.
        name: File name; its extension is compared with the content. One without a known extension is fine.
        limits: What counts as hostile.

    Raises:
        RejectedInputError: With one of the rules of this module.
    """
    media_type = type_among(
        data, name=name, max_bytes=limits.max_bytes, types=CLOUDS, what="point cloud that is read here"
    )
    read = {CLOUDS[0]: _ply, CLOUDS[1]: _pcd, CLOUDS[2]: _las}[media_type]
    try:
        facts = read(data)
    except RejectedInputError:
        raise
    except (ValueError, struct.error, UnicodeDecodeError) as error:
        raise RejectedInputError("undecodable", f"no header of a point cloud: {error}") from error
    if facts.points > limits.max_points:
        raise RejectedInputError("too_many_points", f"{facts.points:,} points, limit {limits.max_points:,}")
    # Of a point in text nothing is shorter than a digit for each field, each with what parts it from the next.
    least = 0 if facts.coding == "packed" else 2 * max(1, len(facts.fields))
    if facts.media_type != CLOUDS[2] and facts.coding == "binary":
        least = facts.dtype.itemsize if facts.dtype is not None else 0
    if facts.start + facts.points * least - (facts.coding == "ascii") > len(data):
        raise RejectedInputError("truncated", f"{len(data):,} bytes, of which the header promises {facts.points:,} "
                                 "points: there is no room for them")
    return facts


def coordinates(data: bytes, facts: PointsFacts) -> npt.NDArray[np.void] | None:
    """Return the points as they lie in a file that was probed, (points,), with fields x, y and z; None: text, packed,
    or no such fields of one number each."""
    if facts.dtype is None or not set(AXES) <= set(facts.fields) or any(facts.dtype[axis].shape for axis in AXES):
        return None
    return np.frombuffer(data, facts.dtype, facts.points, facts.start)


def _lines(data: Data, end: str) -> Iterator[tuple[list[str], int]]:
    """Yield the words of each line of a header and where the next begins, up to that which begins with `end`."""
    at = 0
    while True:
        stop = bytes(data[at : at + MOST_HEADER]).find(b"\n")
        if stop < 0 or at > MOST_HEADER:
            raise ValueError(f"no line `{end}` in its first {MOST_HEADER:,} bytes")
        # Words of the formats are ASCII; comments, and names of fields, are whatever somebody wrote.
        words = bytes(data[at : at + stop]).decode(errors="replace").split()
        at += stop + 1
        if words:
            yield words, at
        if words and words[0] == end:
            return


def _whole(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"no number of anything: {text[:40]!r}")
    return int(text)


def _ply(data: Data) -> PointsFacts:
    order, points, fields, start = "", None, list[tuple[str, str]](), 0
    element, is_first, lists = "", True, False
    for words, at in _lines(data, "end_header"):
        start = at
        if words[0] == "format":
            coding = words[1] if len(words) > 1 else ""
            if coding not in _PLY_ORDERS or words[2:] != ["1.0"]:
                raise ValueError(f"format {' '.join(words[1:])[:60]!r}")
            order = coding
        elif words[0] == "element" and len(words) == 3:
            is_first = not element
            element = words[1]
            if element == "vertex":
                if points is not None:
                    raise ValueError("two elements `vertex`")
                points, first = _whole(words[2]), is_first
        elif words[0] == "property" and element == "vertex":
            if words[1:2] == ["list"]:
                lists = True
            elif len(words) != 3 or words[1] not in _PLY_TYPES:
                raise ValueError(f"property {' '.join(words[1:])[:60]!r}")
            else:
                fields.append((words[2], _PLY_TYPES[words[1]]))
        if len(fields) > MOST_FIELDS:
            raise ValueError(f"more than {MOST_FIELDS:,} properties")
    if points is None or not order:
        raise ValueError("no element `vertex`, or no format")
    is_plain = order != "ascii" and first and not lists and fields
    return PointsFacts(
        CLOUDS[0], points, tuple(name for name, _ in fields), "ascii" if order == "ascii" else "binary", start,
        _dtype([(name, _PLY_ORDERS[order] + kind, 1) for name, kind in fields]) if is_plain else None,
    )  # fmt: skip


def _pcd(data: Data) -> PointsFacts:
    said: dict[str, list[str]] = {}
    start = 0
    for words, at in _lines(data, "DATA"):
        said[words[0]] = words[1:]
        start = at
    names, kinds, sizes = said.get("FIELDS", []), said.get("TYPE", []), said.get("SIZE", [])
    counts = [_whole(each) for each in said.get("COUNT", ["1"] * len(names))]
    if not names or len(names) > MOST_FIELDS or not len(names) == len(kinds) == len(sizes) == len(counts):
        raise ValueError(f"{len(names)} fields, {len(kinds)} types, {len(sizes)} sizes, {len(counts)} counts")
    if min(counts) < 1:
        raise ValueError("COUNT 0: a field without a number takes no room, and any number of points would fit")
    stated = [said.get(name, [""])[0] for name in ("POINTS", "WIDTH", "HEIGHT")]
    points, width, height = (_whole(each or "1") for each in stated)
    if not stated[0] or (stated[1] and stated[2] and points != width * height):
        raise ValueError(f"POINTS {stated[0]}, WIDTH {stated[1]}, HEIGHT {stated[2]}")
    coding = " ".join(said["DATA"])
    if coding not in ("ascii", "binary", "binary_compressed"):
        raise ValueError(f"DATA {coding[:60]!r}")
    # Big counts are histograms of a point; a struct of NumPy's holds 2 GB.
    formats = [
        (name, "<" + _PCD_TYPES[kind, _whole(size)], min(count, 1 << 20))
        for name, kind, size, count in zip(names, kinds, sizes, counts, strict=True)
        if (kind, _whole(size)) in _PCD_TYPES
    ]
    if len(formats) < len(names):
        raise ValueError(f"types {' '.join(kinds)[:60]!r} of sizes {' '.join(sizes)[:60]!r}")
    dtype = _dtype(formats)
    if coding == "binary_compressed":
        packed, unpacked = struct.unpack_from("<II", data, start)
        if unpacked != points * dtype.itemsize or start + 8 + packed > len(data):
            text = f"{packed:,} packed bytes of {unpacked:,}, for {points:,} points of {dtype.itemsize:,}"
            raise RejectedInputError("truncated", f"{len(data):,} bytes do not hold what the header promises: {text}")
    return PointsFacts(CLOUDS[1], points, tuple(names), "packed" if "_" in coding else coding, start,
                       dtype if coding == "binary" else None)  # fmt: skip


def _las(data: Data) -> PointsFacts:
    if len(data) < 227:
        raise RejectedInputError("truncated", f"{len(data):,} bytes are no header of a LAS file, which has 227")
    major, minor = data[24], data[25]
    if major != 1 or minor > 4:
        raise ValueError(f"LAS {major}.{minor}")
    size, start = struct.unpack_from("<HI", data, 94)
    kind, length, points = struct.unpack_from("<BHI", data, 104)
    if minor == 4:
        if size < 375 or len(data) < 375:
            raise RejectedInputError("truncated", f"a header of {size:,} bytes; that of LAS 1.4 has 375")
        points = struct.unpack_from("<Q", data, 247)[0]
    # Order of the header: greatest, least of x, then of y, then of z.
    ends = struct.unpack_from("<6d", data, 179)
    bounds = tuple((ends[2 * axis + 1], ends[2 * axis]) for axis in range(3))
    is_packed = bool(kind & 0xC0)
    if start < size or start > len(data) or (not is_packed and start + points * length > len(data)) or not length:
        text = f"{points:,} points of {length:,} bytes from byte {start:,} on"
        raise RejectedInputError("truncated", f"{len(data):,} bytes do not hold what the header promises: {text}")
    is_stated = points and all(low <= high and np.isfinite(high - low) for low, high in bounds)
    return PointsFacts(CLOUDS[2], points, (f"format {kind & 0x3F}",), "packed" if is_packed else "binary", start,
                       bounds=bounds if is_stated else None)  # fmt: skip


def _dtype(fields: list[tuple[str, str, int]]) -> np.dtype[np.void]:
    # Names need not be distinct in a file; NumPy wants them so.
    seen: dict[str, int] = {}
    named = []
    for name, kind, count in fields:
        seen[name] = seen.get(name, 0) + 1
        own = name if seen[name] == 1 else f"{name} {seen[name]}"
        named.append((own, kind) if count == 1 else (own, kind, (count,)))
    return np.dtype(named)
