"""Overlap of tracks of boxes: what they share in all frames over what they fill together.

The sum over frames is that of L. Yang, Y. Fan, N. Xu: Video instance segmentation (ICCV 2019), section 4.2: a frame in
which one of the two is alone adds to what they fill, not to what they share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lakehouse.overlap.arrays import Floats, Ints
from lakehouse.overlap.boxes import over_union


@dataclass(frozen=True, slots=True)
class Track:
    """One object in the frames of a video.

    Attributes:
        frames: Frames in which it is, ascending, each once; int64, (F,).
        boxes_F4: x, y, w, h in px in each.
    """

    frames: Ints
    boxes_F4: Floats

    @property
    def volume(self) -> float:
        """Sum of its areas, px²."""
        return float(self.boxes_F4[:, 2:].prod(axis=1).sum())


def track_iou(tracks: Sequence[Track], others: Sequence[Track]) -> Floats:
    """Return the overlap of each track with each other one; float64, (N, M), 0 to 1."""
    shared = np.array([[_shared(one, other) for other in others] for one in tracks]).reshape(len(tracks), len(others))
    volumes = [np.array([each.volume for each in some], np.float64) for some in (tracks, others)]
    same = np.array([[_same(one, other) for other in others] for one in tracks], bool).reshape(shared.shape)
    return over_union(shared, *volumes, same=same)


def _shared(one: Track, other: Track) -> float:
    _, mine, theirs = np.intersect1d(one.frames, other.frames, assume_unique=True, return_indices=True)
    a, b = one.boxes_F4[mine], other.boxes_F4[theirs]
    low = np.maximum(a[:, :2], b[:, :2])
    high = np.minimum(a[:, :2] + a[:, 2:], b[:, :2] + b[:, 2:])
    return float(np.clip(high - low, 0, None).prod(axis=1).sum())


def _same(one: Track, other: Track) -> bool:
    return np.array_equal(one.frames, other.frames) and np.array_equal(one.boxes_F4, other.boxes_F4)
