"""Masks as Label Studio's brush writes them: runs of bytes of an RGBA picture, row by row, packed into bits.

32 bits: number of bytes; 5 bits: bits of a value less 1; four times 4 bits: bits of a length less 1. Then blocks: 1 bit
(a run of one value, or single values), 2 bits (which of the four lengths), the length less 1, and one value or as many
as the length says. Format: package `rle-pack` of thi.ng/umbrella, which Label Studio's front end uses. A pixel is set
where its fourth byte (alpha) is above 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lakehouse.errors import RejectedInputError

HEADER_BITS = 32 + 5 + 4 * 4
MAX_PIXELS = 1 << 28
LENGTH_BITS = (3, 4, 8, 16)
"""What we write: as Label Studio's own tools do."""

Mask = npt.NDArray[np.bool_]


def decode_brush(packed: Sequence[object], *, width: int, height: int) -> Mask:
    """Return the mask; bool, shape (height, width).

    Args:
        packed: Bytes, 0 to 255 each.
        width: Of the picture, px.
        height: Of the picture, px.

    Raises:
        RejectedInputError: bad_mask, if the bytes end too early, or are those of a picture of another size.
    """
    if width * height > MAX_PIXELS:
        raise RejectedInputError("bad_mask", f"has a mask of {width} x {height} px, at most {MAX_PIXELS:,} px are read")
    try:
        data = bytes(packed)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise RejectedInputError("bad_mask", "has a mask whose rle is no list of bytes") from error
    bits = _Bits(data)
    total = bits.take(32)
    word = bits.take(5) + 1
    lengths = [bits.take(4) + 1 for _ in range(4)]
    if total != width * height * 4:
        raise RejectedInputError(
            "bad_mask", f"has a mask of {total:,} bytes; one of {width} x {height} px has {width * height * 4:,}"
        )
    if word != 8:
        raise RejectedInputError("bad_mask", f"has a mask with values of {word} bits, expected 8")
    flat = np.zeros(total, dtype=np.uint8)
    at = 0
    while at < total:
        is_run = bits.take(1)
        count = bits.take(lengths[bits.take(2)]) + 1
        if count > total - at:
            raise RejectedInputError("bad_mask", "has a mask with more pixels than its picture")
        flat[at : at + count] = bits.take(8) if is_run else bits.words(count)
        at += count
    found: Mask = flat.reshape(height, width, 4)[:, :, 3] > 0
    return found


def encode_brush(mask: Mask) -> list[int]:
    """Return the bytes of a mask; all four channels are 255 where it is set, else 0.

    Args:
        mask: bool, shape (height, width).
    """
    flat = np.ascontiguousarray(mask).reshape(-1)
    edges = np.flatnonzero(np.diff(flat)) + 1
    starts = np.concatenate(([0], edges)) if flat.size else np.zeros(0, dtype=np.int64)
    ends = np.concatenate((edges, [flat.size]))
    parts = [f"{flat.size * 4:032b}", f"{7:05b}", *(f"{bits - 1:04b}" for bits in LENGTH_BITS)]
    for start, end in zip(starts.tolist(), ends.tolist(), strict=False):
        value = "11111111" if flat[start] else "00000000"
        left = (end - start) * 4
        while left:
            count = min(left, 1 << LENGTH_BITS[-1])
            place = next(k for k, bits in enumerate(LENGTH_BITS) if count <= 1 << bits)
            parts += ("1", f"{place:02b}", f"{count - 1:0{LENGTH_BITS[place]}b}", value)
            left -= count
    text = "".join(parts)
    bits_of = np.frombuffer(text.encode(), dtype=np.uint8) - ord("0")
    return [int(each) for each in np.packbits(bits_of)]


class _Bits:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int) -> int:
        """Return the next bits as a number."""
        end = self._at + count
        if end > len(self._data) * 8:
            raise RejectedInputError("bad_mask", "has a mask whose rle ends too early")
        last = -(-end // 8)
        number = int.from_bytes(self._data[self._at // 8 : last], "big") >> (last * 8 - end)
        self._at = end
        return number & ((1 << count) - 1)

    def words(self, count: int) -> npt.NDArray[np.uint8]:
        """Return the next bytes, which need not begin where a byte does; uint8, shape (count,)."""
        end = self._at + count * 8
        if end > len(self._data) * 8:
            raise RejectedInputError("bad_mask", "has a mask whose rle ends too early")
        first, last = self._at // 8, -(-end // 8)
        bits = np.unpackbits(np.frombuffer(self._data[first:last], dtype=np.uint8))
        shift = self._at - first * 8
        self._at = end
        return np.packbits(bits[shift : shift + count * 8])
