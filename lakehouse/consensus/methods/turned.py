"""Turned boxes of several annotators fused: matched by class and overlap, then centre, sides and angle averaged.

A turned box is the same one by half a turn, and by a quarter with its sides exchanged. So each member is first read as
it is most like the first one: the angles that are averaged differ by 45 degrees at most.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lakehouse.consensus.methods.clusters import Cluster, objects
from lakehouse.consensus.methods.votes import Floats
from lakehouse.overlap.turned import turned_iou


@dataclass(frozen=True, slots=True)
class Turned:
    """One object; see `lakehouse.consensus.methods.boxes.Fused` for what both have.

    Attributes:
        box: x, y, w, h before it is turned about its centre, px, and the angle in degrees clockwise, near the one that
            its first member states.
    """

    label: str | None
    box: tuple[float, float, float, float, float]
    members: tuple[int, ...]
    support: float
    iou: float


def fuse_turned(
    boxes_N5: Floats,
    labels: Sequence[str | None],
    owners: Sequence[str],
    weights: Sequence[float],
    *,
    min_iou: float = 0.5,
    matching: str = "greedy",
) -> list[Turned]:
    """Return one box for each object; arguments as of `lakehouse.consensus.methods.boxes.fuse_boxes`, but for

    Args:
        boxes_N5: x, y, w, h in px before a box is turned about its centre, and the angle in degrees clockwise.
    """
    def alike(places: list[int]) -> Floats:
        return turned_iou(boxes_N5[places], boxes_N5[places])

    found = objects(labels, owners, alike, least=min_iou, matching=matching)
    return [_fused(boxes_N5, label, members, np.array([weights[n] for n in members])) for label, members in found]


def mean_turned(boxes_N5: Floats, weights: Floats) -> tuple[float, float, float, float, float]:
    """Return the weighted mean of boxes that are much the same: of centres, sides and angles.

    Args:
        boxes_N5: As of `fuse_turned`, at least one.
        weights: (N,).
    """
    x, y, w, h, angle = boxes_N5.T
    # Quarters of a turn that each is away from the first one; an odd number of them exchanges its sides.
    quarters = np.rint((angle - angle[0]) / 90.0)
    is_across = quarters % 2 == 1
    off = angle - angle[0] - 90.0 * quarters
    wide, high = np.where(is_across, h, w), np.where(is_across, w, h)
    cx, cy, mean_w, mean_h, turn = np.average(
        np.stack([x + w / 2, y + h / 2, wide, high, off]), axis=1, weights=weights
    ).tolist()
    return cx - mean_w / 2, cy - mean_h / 2, mean_w, mean_h, math.remainder(float(angle[0]) + turn, 360.0)


def _fused(boxes_N5: Floats, label: str | None, members: Cluster, weights: Floats) -> Turned:
    box = mean_turned(boxes_N5[members], weights)
    overlap = turned_iou(boxes_N5[members], np.array([box]))[:, 0]
    return Turned(label, box, tuple(members), float(weights.sum()), float(np.average(overlap, weights=weights)))
