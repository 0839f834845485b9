"""Masks of several annotators: matched by overlap, then a vote at every pixel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lakehouse.consensus.methods.votes import Flags, Floats


def mask_iou(masks_NHW: Sequence[Flags]) -> Floats:
    """Return the overlap of each mask with each other one; float64, (N, N), 0 to 1; two empty ones do not overlap."""
    if not masks_NHW:
        return np.zeros((0, 0))
    flat = np.stack([each.ravel() for each in masks_NHW]).astype(np.float32)
    shared = (flat @ flat.T).astype(np.float64)
    area = flat.sum(axis=1, dtype=np.float64)
    union = area[:, None] + area[None, :] - shared
    return np.where(union > 0, shared / np.where(union > 0, union, 1.0), 0.0)


def voted_mask(masks_NHW: Sequence[Flags], weights: Sequence[float], *, threshold: float = 0.5) -> Flags:
    """Return the pixels that more than a share `threshold` of the weight sets; bool, (H, W)."""
    total = np.zeros(masks_NHW[0].shape)
    for mask, weight in zip(masks_NHW, weights, strict=True):
        total += weight * mask
    return np.asarray(total > threshold * sum(weights))
