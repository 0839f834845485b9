"""Overlap of masks by the pixels that they share, counted on their runs: nothing is unpacked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lakehouse.overlap.arrays import Flags, Floats, Ints
from lakehouse.overlap.boxes import over_union


def mask_iou(masks: Sequence[Ints], others: Sequence[Ints], *, crowds_M: Flags | None = None) -> Floats:
    """Return the overlap of each mask with each other one; float64, (N, M), 0 to 1; two empty ones do not overlap.

    Args:
        masks: Runs of each, of 0 and 1 in turn, 0 first (`lakehouse.opinions.geometry.rle`); of one frame.
        others: The same, of the same frame.
        crowds_M: Others of which the overlap is the share of the mask that lies in it, as COCO has it of crowds.
    """
    shared = np.zeros((len(masks), len(others)))
    if not masks or not others:
        return shared
    edges = [np.cumsum(runs[: len(runs) // 2 * 2]) for runs in others]
    owner = np.repeat(np.arange(len(others)), [len(each) // 2 for each in edges])
    starts, ends = np.concatenate([each[0::2] for each in edges]), np.concatenate([each[1::2] for each in edges])
    for place, runs in enumerate(masks):
        bounds = np.concatenate([[0], np.cumsum(runs)])
        # Set pixels before each bound; between two bounds it is a line.
        before = np.concatenate([[0], np.cumsum(np.where(np.arange(len(runs)) % 2, runs, 0))])
        inside = np.interp(ends, bounds, before) - np.interp(starts, bounds, before)
        shared[place] = np.bincount(owner, weights=inside, minlength=len(others))
    return over_union(shared, _areas(masks), _areas(others), crowds_M=crowds_M)


def _areas(masks: Sequence[Ints]) -> Floats:
    return np.array([runs[1::2].sum() for runs in masks], np.float64)
