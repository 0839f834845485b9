"""Overlap of stretches of text or time: what two of them share over what they cover together."""

from __future__ import annotations

import numpy as np

from lakehouse.overlap.arrays import Floats
from lakehouse.overlap.boxes import over_union


def stretch_iou(stretches_N2: Floats, others_M2: Floats) -> Floats:
    """Return the overlap of each stretch with each other one; float64, (N, M), 0 to 1.

    Two stretches without length overlap where they are the same one.

    Args:
        stretches_N2: Start and end, the end excluded; characters or seconds.
        others_M2: The same.
    """
    one, other = stretches_N2[:, None, :], others_M2[None, :, :]
    shared = np.clip(np.minimum(one[..., 1], other[..., 1]) - np.maximum(one[..., 0], other[..., 0]), 0, None)
    lengths = [each[:, 1] - each[:, 0] for each in (stretches_N2, others_M2)]
    return over_union(shared, *lengths, same=(one == other).all(axis=-1))
