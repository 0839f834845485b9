"""Masks stored as run lengths: codec `coco_rle`, the compressed counts of COCO, in numpy.

A stored value is JSON in UTF-8: {"size": [H, W], "counts": [text of each object]}; every mask has the size of the
picture. The text is COCO's (cocoapi, common/maskApi.c): lengths of runs of 0 and 1 in turn, 0 first, down the columns
one after the other; each from the third on as the difference to the one two before; each in groups of 5 bits, the
lowest first, as one character 48 + bits, with 32 added where another group follows; the highest bit of the last group
is the sign.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from loaders.axes import Ints, Octets
from loaders.errors import DecodeError

MAX_MASK_BYTES = 1 << 30
"""The masks of one picture that are larger together are refused before memory is taken, as other arrays are."""

MAX_MASKS = 1 << 16
_MOST_GROUPS = 7
"""35 bits: more than the pixels of any picture."""


class Runs(NamedTuple):
    """The masks of one picture, still as runs."""

    height: int
    width: int
    counts: tuple[str, ...]

    def masks(self) -> Iterator[Octets]:
        """Yield each mask: uint8 (H, W), 0 or 1, as `decode_mask` gives it.

        Raises:
            DecodeError: If the runs are not those of a mask of this size.
        """
        for number, text in enumerate(self.counts):
            try:
                yield decode_mask(text, self.height, self.width)
            except DecodeError as error:
                raise DecodeError(f"mask {number}: {error}") from None


def read_runs(raw: bytes | memoryview, *, max_pixels: int, max_bytes: int = MAX_MASK_BYTES) -> Runs:
    """Read a stored value; no mask is unpacked.

    Args:
        raw: The stored bytes.
        max_pixels: Frames with more are refused.
        max_bytes: Masks that would take more than this together are refused.

    Raises:
        DecodeError: If it is none, or more than is allowed (rule `too_many_pixels`).
    """
    try:
        told = json.loads(bytes(raw))
        height, width = told["size"]
        counts = told["counts"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DecodeError('no masks: expected {"size": [H, W], "counts": [text, ...]}') from error
    is_size = type(height) is int and type(width) is int and height > 0 and width > 0
    if not is_size or not isinstance(counts, list) or not all(isinstance(text, str) for text in counts):
        raise DecodeError('no masks: expected {"size": [H, W], "counts": [text, ...]} with H, W from 1')
    if height * width > max_pixels:
        message = f"masks of {height:,} x {width:,} pixels, more than max_pixels={max_pixels:,}"
        raise DecodeError(message, rule="too_many_pixels")
    if len(counts) > MAX_MASKS or len(counts) * height * width > max_bytes:
        message = f"{len(counts):,} masks of {height:,} x {width:,} pixels take more than {max_bytes:,} bytes"
        raise DecodeError(message, rule="too_many_pixels")
    return Runs(height, width, tuple(counts))


def decode_masks(raw: bytes | memoryview, *, max_pixels: int) -> Octets:
    """Unpack a stored value: uint8 (n, H, W), 0 or 1.

    Raises:
        DecodeError: As `read_runs`, and if runs are not those of a mask of this size.
    """
    runs = read_runs(raw, max_pixels=max_pixels)
    out = np.empty((len(runs.counts), runs.height, runs.width), dtype=np.uint8)
    for row, mask in zip(out, runs.masks(), strict=True):
        row[...] = mask
    return out


def decode_mask(text: str, height: int, width: int) -> Octets:
    """Unpack one mask: uint8 (height, width), 0 or 1, in Fortran's order: its columns are contiguous.

    Raises:
        DecodeError: If the runs do not fill it exactly.
    """
    lengths = run_lengths(text)
    pixels = height * width
    # Each by itself, too: a sum of numbers without a bound could wrap around to the right one.
    if lengths.min(initial=0) < 0 or lengths.max(initial=0) > pixels or int(lengths.sum()) != pixels:
        raise DecodeError(f"the runs do not fill {height} x {width} pixels")
    values = np.zeros(len(lengths), dtype=np.uint8)
    values[1::2] = 1
    # (width, height): columns one after the other. A view: turning it over costs six times what all this does.
    return np.repeat(values, lengths).reshape(width, height).T


def run_lengths(text: str) -> Ints:
    """Return the lengths of the runs, of 0 and 1 in turn: int64.

    Raises:
        DecodeError: If the text is not COCO's.
    """
    try:
        groups = np.frombuffer(text.encode("ascii"), dtype=np.uint8).astype(np.int64) - 48
    except UnicodeEncodeError as error:
        raise DecodeError("run lengths in characters that are none of COCO's") from error
    if not len(groups):
        return groups
    if groups.min() < 0 or groups.max() > 63:
        raise DecodeError("run lengths in characters that are none of COCO's")
    ends = np.flatnonzero((groups & 32) == 0)
    starts = np.concatenate(([0], ends[:-1] + 1))
    sizes = ends - starts + 1
    if not len(ends) or ends[-1] != len(groups) - 1 or sizes.max() > _MOST_GROUPS:
        raise DecodeError("run lengths that do not end")
    places = np.arange(len(groups)) - np.repeat(starts, sizes)  # of each group in its number
    lengths: Ints = np.add.reduceat((groups & 31) << (5 * places), starts)
    is_negative = (groups[ends] & 16) != 0
    lengths[is_negative] -= np.int64(1) << (5 * sizes[is_negative])
    for first in (1, 2):
        np.cumsum(lengths[first::2], out=lengths[first::2])
    return lengths
