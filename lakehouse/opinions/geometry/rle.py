"""Run-length encoding of masks as COCO has it: column by column, runs of 0 and 1 in turn, the first one of 0.

The compressed text writes each run as the difference to the run two before it (from the fourth on), in groups of five
bits, lowest first: bit 5 of a character says that another follows, the highest of the last five is the sign, and 48 is
added so that it is plain ASCII (https://github.com/cocodataset/cocoapi, common/maskApi.h).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lakehouse.errors import RejectedInputError

Runs = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

MOST_GROUPS = 7
"""Characters of one number: 35 bits, more than a run has."""

MAX_PIXELS = 1 << 30
"""Of one mask; the counts in a file are a stranger's, and a mask is as large as they say."""


def encode(mask_HW: npt.ArrayLike) -> Runs:
    """Return the runs of a mask.

    Args:
        mask_HW: Anything of shape (height, width); what is not 0 is set.

    Returns:
        int64, shape (num_runs,), adding up to height * width; the first run is of 0 and may be empty.
    """
    flat = np.asarray(mask_HW).astype(bool).ravel(order="F")
    if not flat.size:
        return np.zeros(0, np.int64)
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    ends = np.concatenate(([0] if flat[0] else [], edges, [flat.size])).astype(np.int64)
    return np.diff(ends, prepend=0)


def encode_inside(mask_HW: npt.ArrayLike, left: int, top: int, height: int, width: int) -> Runs:
    """Return the runs of a frame that is empty but for a mask in it; takes memory by the mask, not by the frame.

    Args:
        mask_HW: Of shape (rows, columns) that fits into the frame.
        left: Column of the frame where it begins.
        top: Row of the frame where it begins.
        height: Of the frame, px.
        width: Of the frame, px.

    Returns:
        As `encode` of the whole frame.
    """
    columns, rows = np.nonzero(np.asarray(mask_HW).T)
    flat = (columns.astype(np.int64) + left) * height + rows + top
    breaks = np.flatnonzero(np.diff(flat) != 1)
    firsts, lasts = np.concatenate((flat[:1], flat[breaks + 1])), np.concatenate((flat[breaks], flat[-1:]))
    edges = np.stack((firsts, lasts + 1), axis=1).ravel()
    runs = np.diff(edges, prepend=0, append=height * width)
    return runs[:-1] if flat.size and not runs[-1] else runs


def decode(runs: npt.ArrayLike, height: int, width: int) -> Mask:
    """Return the mask of runs: bool, shape (height, width).

    Raises:
        RejectedInputError: bad_mask, if the runs are no mask of this size.
    """
    counts = checked_runs(runs, height, width)
    values = np.zeros(counts.size, bool)
    values[1::2] = True
    return np.repeat(values, counts).reshape((height, width), order="F")


def checked_runs(runs: npt.ArrayLike, height: int, width: int) -> Runs:
    """Return the runs as int64 if they are those of a mask of this size.

    Raises:
        RejectedInputError: bad_mask, if one is below 0 or they do not add up to height * width.
    """
    if height < 0 or width < 0 or height * width > MAX_PIXELS:
        raise RejectedInputError("bad_mask", f"mask of {width} x {height} px: must be 0 to {MAX_PIXELS:,} pixels")
    counts = np.asarray(runs)
    if counts.size and counts.dtype.kind not in "iu":
        raise RejectedInputError("bad_mask", "runs of a mask must be whole numbers")
    counts = counts.astype(np.int64).ravel()
    # A float sum cannot wrap round.
    if (counts < 0).any() or float(counts.sum(dtype=np.float64)) != float(height * width):
        raise RejectedInputError(
            "bad_mask", f"runs of a mask add up to {int(counts.sum()):,}, expected {width} x {height} px"
        )
    return counts


def compress(runs: npt.ArrayLike) -> str:
    """Return runs as COCO's text."""
    counts = np.asarray(runs, np.int64)
    left = counts.copy()
    left[3:] -= counts[1:-2]
    groups = np.zeros((left.size, MOST_GROUPS), np.uint8)
    written = np.zeros((left.size, MOST_GROUPS), bool)
    going = np.ones(left.size, bool)
    for place in range(MOST_GROUPS):
        bits = left & 0x1F
        left >>= 5
        # The sign is the highest bit of the last group: it must be the one that is meant.
        more = np.where(bits & 0x10, left != -1, left != 0)
        groups[:, place] = bits + np.where(more, 0x20, 0) + 48
        written[:, place] = going
        going = going & more
        if not going.any():
            break
    return groups[written].tobytes().decode("ascii")


def decompress(text: str) -> Runs:
    """Return the runs in COCO's text.

    Returns:
        int64, shape (num_runs,); whether they are a mask, `checked_runs` tells.

    Raises:
        RejectedInputError: bad_mask, if a character is none that `compress` writes, or the text ends within a number.
    """
    try:
        codes = np.frombuffer(text.encode("ascii"), np.uint8).astype(np.int64) - 48
    except UnicodeEncodeError as error:
        raise RejectedInputError("bad_mask", "text of a mask is not ASCII") from error
    if not codes.size:
        return codes
    last = (codes & 0x20) == 0
    if codes.min() < 0 or codes.max() > 0x3F or not last[-1]:
        raise RejectedInputError("bad_mask", "text of a mask has characters that are none of COCO's encoding")
    starts = np.flatnonzero(np.concatenate(([True], last[:-1])))
    sizes = np.diff(np.append(starts, codes.size))
    if sizes.max() > MOST_GROUPS:
        raise RejectedInputError("bad_mask", "text of a mask has a number of more than 35 bits")
    place = np.arange(codes.size) - np.repeat(starts, sizes)
    numbers = np.add.reduceat((codes & 0x1F) << (5 * place), starts)
    negative = (codes[last] & 0x10) != 0
    numbers -= np.where(negative, np.int64(1) << (5 * sizes), 0)
    # Each from the fourth on stands for its difference to the one two before.
    numbers[1::2] = np.cumsum(numbers[1::2])
    numbers[2::2] = np.cumsum(numbers[2::2])
    return numbers


def area(runs: npt.ArrayLike) -> int:
    """Return how many pixels are set."""
    return int(np.asarray(runs, np.int64)[1::2].sum())


def bounds(runs: npt.ArrayLike, height: int) -> tuple[int, int, int, int]:
    """Return x, y, w, h of the set pixels, px; four zeros where none is.

    Args:
        runs: Of the mask.
        height: Of the mask, px.
    """
    counts = np.asarray(runs, np.int64)
    ends = np.cumsum(counts)
    first, last = (ends - counts)[1::2], ends[1::2] - 1
    filled = last >= first
    first, last = first[filled], last[filled]
    if not first.size:
        return 0, 0, 0, 0
    left, right = int(first[0]) // height, int(last[-1]) // height
    if (first // height != last // height).any():
        # A run that goes on in the next column fills the foot of one and the head of the other.
        top, bottom = 0, height - 1
    else:
        top, bottom = int((first % height).min()), int((last % height).max())
    return left, top, right - left + 1, bottom - top + 1
