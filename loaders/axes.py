"""The arrays that pass through the loaders, by kind, and the words for their axes.

Wherever an array is made, cut or given another shape, its axes are named in these words:

    groups   row groups of a split            rows     rows of a table, of a row group, or of all slots of an arena
    samples  of a job or a batch              length   rows in a sample: 1, or the steps of a sequence
    height, width, channels  of a picture     frames, channels  of a recording
    bytes    of memory or of a file           record   bytes of the packed columns of one row
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
"""Of any dtype."""

DType: TypeAlias = np.dtype[Any]
"""Any dtype."""

Ints: TypeAlias = NDArray[np.int64]
"""Places or counts, int64."""

Floats: TypeAlias = NDArray[np.float64]
"""Coordinates in px or other measures, float64."""

Mask: TypeAlias = NDArray[np.bool_]
"""Which of them, bool."""

Seeds: TypeAlias = NDArray[np.uint64]
"""Seeds of samples, uint64."""

Octets: TypeAlias = NDArray[np.uint8]
"""Bytes, or levels of a picture; uint8."""
