"""Masks of several annotators: a vote at every pixel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lakehouse.consensus.methods.votes import Flags


def voted_mask(masks_NHW: Sequence[Flags], weights: Sequence[float], *, threshold: float = 0.5) -> Flags:
    """Return the pixels that more than a share `threshold` of the weight sets; bool, (H, W)."""
    total = np.zeros(masks_NHW[0].shape)
    for mask, weight in zip(masks_NHW, weights, strict=True):
        total += weight * mask
    return np.asarray(total > threshold * sum(weights))
