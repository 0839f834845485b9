"""Overlap of upright boxes: intersection over union."""

from __future__ import annotations

import numpy as np

from lakehouse.overlap.arrays import Flags, Floats


def iou(boxes_N4: Floats, others_M4: Floats, *, crowds_M: Flags | None = None) -> Floats:
    """Return the overlap of each box with each other one; float64, (N, M), 0 to 1.

    Two boxes without area overlap where they are the same one.

    Args:
        boxes_N4: x, y, w, h in px; w and h at least 0.
        others_M4: The same.
        crowds_M: Others of which the overlap is the share of the box that lies in it, as COCO has it of crowds.
    """
    if not len(boxes_N4) or not len(others_M4):
        return np.zeros((len(boxes_N4), len(others_M4)))
    one, other = boxes_N4[:, None, :], others_M4[None, :, :]
    low = np.maximum(one[..., :2], other[..., :2])
    high = np.minimum(one[..., :2] + one[..., 2:], other[..., :2] + other[..., 2:])
    shared = np.clip(high - low, 0, None).prod(axis=-1)
    return over_union(
        shared, boxes_N4[:, 2:].prod(axis=-1), others_M4[:, 2:].prod(axis=-1),
        same=(one == other).all(axis=-1), crowds_M=crowds_M,
    )  # fmt: skip


def over_union(
    shared_NM: Floats, areas_N: Floats, others_M: Floats, *, same: Flags | None = None, crowds_M: Flags | None = None
) -> Floats:
    """Return what shapes share over what they fill together; float64, (N, M), 0 to 1.

    Args:
        shared_NM: What each pair shares.
        areas_N: Area of each shape.
        others_M: Area of each other one.
        same: (N, M): pairs that overlap wholly where neither has an area; None: none.
        crowds_M: As of `iou`.
    """
    union = areas_N[:, None] + others_M[None, :] - shared_NM
    if crowds_M is not None:
        union = np.where(crowds_M[None, :], areas_N[:, None], union)
    empty = np.zeros_like(shared_NM) if same is None else same.astype(np.float64)
    found = np.where(union > 0, shared_NM / np.where(union > 0, union, 1.0), empty)
    return np.asarray(np.minimum(found, 1.0), np.float64)
