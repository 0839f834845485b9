"""Overlap of upright boxes: intersection over union."""

from __future__ import annotations

import numpy as np

from lakehouse.consensus.methods.votes import Floats


def iou(boxes_N4: Floats, others_M4: Floats) -> Floats:
    """Return the overlap of each box with each other one; float64, (N, M), 0 to 1.

    Args:
        boxes_N4: x, y, w, h in px; w and h at least 0.
        others_M4: The same.
    """
    if not len(boxes_N4) or not len(others_M4):
        return np.zeros((len(boxes_N4), len(others_M4)))
    one, other = boxes_N4[:, None, :], others_M4[None, :, :]
    low = np.maximum(one[..., :2], other[..., :2])
    high = np.minimum(one[..., :2] + one[..., 2:], other[..., :2] + other[..., 2:])
    shared = np.clip(high - low, 0, None).prod(axis=-1)
    union = one[..., 2:].prod(axis=-1) + other[..., 2:].prod(axis=-1) - shared
    # Two boxes without area overlap where they are the same one.
    same = (one == other).all(axis=-1)
    found = np.where(union > 0, shared / np.where(union > 0, union, 1.0), same.astype(np.float64))
    return np.asarray(found, np.float64)
