"""Boxes of several annotators fused: matched by class and overlap, then averaged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lakehouse.consensus.methods.clusters import Cluster, objects
from lakehouse.consensus.methods.votes import Floats
from lakehouse.overlap.boxes import iou


@dataclass(frozen=True, slots=True)
class Fused:
    """One object.

    Attributes:
        label: Its class; None where the boxes have none.
        box: x, y, w, h; the weighted mean of left, top, right and bottom.
        members: Places of the boxes that it is made of.
        support: Weight of its annotators, of `answered`.
        iou: Mean overlap of the members with the fused box.
    """

    label: str | None
    box: tuple[float, float, float, float]
    members: tuple[int, ...]
    support: float
    iou: float


def fuse_boxes(
    boxes_N4: Floats,
    labels: Sequence[str | None],
    owners: Sequence[str],
    weights: Sequence[float],
    *,
    min_iou: float = 0.5,
    matching: str = "greedy",
) -> list[Fused]:
    """Return one box for each object that anybody found, class by class.

    Args:
        boxes_N4: x, y, w, h in px; (N, 4).
        labels: Class of each box; (N,).
        owners: Annotator of each box; (N,).
        weights: Votes behind each box's annotator, above 0; (N,).
        min_iou: Overlap from which two boxes are of one object.
        matching: `greedy` or `hungarian`.
    """
    def alike(places: list[int]) -> Floats:
        return iou(boxes_N4[places], boxes_N4[places])

    found = objects(labels, owners, alike, least=min_iou, matching=matching)
    return [_fused(boxes_N4, label, members, weights) for label, members in found]


def _fused(boxes_N4: Floats, label: str | None, members: Cluster, weights: Sequence[float]) -> Fused:
    own = np.array([weights[n] for n in members])
    corners = np.concatenate([boxes_N4[members, :2], boxes_N4[members, :2] + boxes_N4[members, 2:]], axis=1)
    left, top, right, bottom = np.average(corners, axis=0, weights=own).tolist()
    box = np.array([[left, top, right - left, bottom - top]])
    overlap = float(np.average(iou(boxes_N4[members], box)[:, 0], weights=own))
    x, y, w, h = box[0].tolist()
    return Fused(label, (x, y, w, h), tuple(members), float(own.sum()), overlap)
