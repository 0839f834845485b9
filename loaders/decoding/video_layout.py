"""What a video's file is, and whether all of it is there: by its boxes, without a library."""

from __future__ import annotations

from collections.abc import Iterator

Raw = bytes | bytearray | memoryview

CONTAINERS = ("mp4", "mov", "matroska", "webm", "avi")

_NO_VIDEO_BRANDS = frozenset((b"M4A ", b"M4B ", b"avif", b"avis", b"heic", b"heix", b"hevc", b"mif1", b"msf1"))
_EBML, _SEGMENT, _DOC_TYPE = 0x1A45DFA3, 0x18538067, 0x4282
_HEAD_BYTES = 4096
_MAX_BOXES = 100_000


def container_of(raw: Raw) -> str | None:
    """Return which of `CONTAINERS` the first bytes are of, or None."""
    head = bytes(raw[:_HEAD_BYTES])
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        return None if brand in _NO_VIDEO_BRANDS else "mov" if brand == b"qt  " else "mp4"
    if head[4:8] in (b"moov", b"mdat", b"wide"):
        return "mov"
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "avi"
    if head[:4] == _EBML.to_bytes(4, "big"):
        return "webm" if _doc_type(head) == b"webm" else "matroska"
    return None


def is_cut(raw: Raw, container: str) -> bool:
    """Whether the end of the file is missing by what its boxes say of their sizes."""
    if container == "avi":
        return len(raw) < 8 + int.from_bytes(raw[4:8], "little")
    if container in ("mp4", "mov"):
        names = [name for name, _, end in _boxes(raw) if end <= len(raw)]
        return b"moov" not in names or any(end > len(raw) for _, _, end in _boxes(raw))
    return any(name == _SEGMENT and end > len(raw) for name, _, end in _elements(raw))


def _boxes(raw: Raw) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, first byte of the content and end of the boxes of an MP4; the end of one that is cut is behind it."""
    at = 0
    for _ in range(_MAX_BOXES):
        if at + 8 > len(raw):
            if at < len(raw):
                yield b"", at, len(raw) + 1
            return
        size, start = int.from_bytes(raw[at : at + 4], "big"), at + 8
        if size == 1:
            size, start = int.from_bytes(raw[at + 8 : at + 16], "big"), at + 16
        end = len(raw) if size == 0 else at + size
        yield bytes(raw[at + 4 : at + 8]), start, max(end, start)
        at = max(end, start)


def _elements(raw: Raw) -> Iterator[tuple[int, int, int]]:
    """Yield id, first byte of the content and end of the elements at the top of a Matroska file.

    An element of unknown size, as of a live stream, goes to the end of the file.
    """
    at = 0
    for _ in range(_MAX_BOXES):
        if at + 2 > len(raw):
            return
        name, size_at = _number(raw, at, keep_marker=True)
        size, start = _number(raw, size_at, keep_marker=False)
        is_unknown = size == (1 << 7 * (start - size_at)) - 1
        end = len(raw) if is_unknown else start + size
        yield name, start, end
        at = max(end, at + 1)


def _number(raw: Raw, at: int, *, keep_marker: bool) -> tuple[int, int]:
    """Return a number of EBML, of one to eight bytes, and where it ends."""
    first = raw[at] if at < len(raw) else 0
    length = 9 - first.bit_length()
    value = int.from_bytes(raw[at : at + length], "big")
    return value if keep_marker else value & ((1 << 7 * length) - 1), at + length


def _doc_type(head: bytes) -> bytes:
    found = head.find(_DOC_TYPE.to_bytes(2, "big"), 4)
    if found < 0:
        return b""
    size, start = _number(head, found + 2, keep_marker=False)
    return head[start : start + size].rstrip(b"\0")
