"""One array: its facts, and whether it can be read.

Every problem is a `RejectedInputError` with one of the rules below; nothing else is raised for any bytes.

    empty               no bytes
    too_large           more bytes than the limit, packed or unpacked
    extension_mismatch  the name claims another kind than the bytes are
    unknown_type        the name claims an array and the bytes are of no type we know: raw numbers have no type or shape
    pickle              an array of objects, which is a pickle: never loaded
    unsupported_dtype   text, times, records, complex numbers: no type that batches are made of
    several_arrays      a .npz file of more than one, or bytes behind the only one
    truncated           the end is missing
    undecodable         everything else: a header that is none, a wrong checksum
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from lakehouse.errors import RejectedInputError
from lakehouse.media.limits import DEFAULT_ARRAY_LIMITS, ArrayLimits
from lakehouse.media.signature import type_among
from lakehouse.media.sniff import NPZ, Data
from loaders.decoding.verdict import ARRAY_VERDICT_VERSION, DecodeError, read_any

PROBE_VERSION = ARRAY_VERDICT_VERSION
"""Raised when the same file would be judged otherwise: what an older probe rejected is looked at again."""

PREFIX = "application/x-np"
ARRAYS = ("application/x-npy", NPZ)
"""The media types that are read; they begin with `PREFIX`."""


@dataclass(frozen=True, slots=True)
class ArrayFacts:
    """What every kind tells.

    Attributes:
        media_type: application/x-npy or application/x-npz.
        captured_at: None: no array says so.
        pixel_type: None: it has no pixels.
    """

    media_type: str
    captured_at: datetime | None = None
    pixel_type: str | None = None


def probe_array(data: Data, *, name: str, limits: ArrayLimits = DEFAULT_ARRAY_LIMITS) -> ArrayFacts:
    """Return what an array is that is whole, within the limits and readable by the reader, having read it.

    Args:
        data: The file, as bytes or mapped.
        name: File name; its extension is compared with the content. One without a known extension is fine.
        limits: What counts as hostile.

    Raises:
        RejectedInputError: With one of the rules of this module.
    """
    return read_array(data, name=name, limits=limits)[0]


def read_array(
    data: Data, *, name: str = "", limits: ArrayLimits = DEFAULT_ARRAY_LIMITS
) -> tuple[ArrayFacts, npt.NDArray[np.generic]]:
    """Return the facts of an array and itself, in this machine's order of bytes.

    Raises:
        RejectedInputError: With one of the rules of this module.
    """
    media_type = type_among(
        data, name=name, max_bytes=limits.max_bytes, types=ARRAYS, what="array that is read here"
    )
    try:
        found = read_any(bytes(data))
    except DecodeError as error:
        raise RejectedInputError(error.rule, str(error)) from error
    if found.nbytes > limits.max_bytes:
        raise RejectedInputError("too_large", f"an array of {found.nbytes:,} bytes, limit {limits.max_bytes:,}")
    return ArrayFacts(media_type), found
