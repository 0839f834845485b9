"""Keypoints of several annotators fused: objects matched by class and similarity, then each keypoint by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lakehouse.consensus.methods.clusters import objects
from lakehouse.consensus.methods.numbers import mean, median
from lakehouse.consensus.methods.votes import Floats
from lakehouse.overlap.keypoints import oks_of_equals

ABSENT, HIDDEN, SEEN = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Posed:
    """One object.

    Attributes:
        label: Its class; None where the objects have none.
        points_K3: x, y in px and v; not labelled is 0, 0, 0.
        box: x, y, w, h; the weighted mean of left, top, right and bottom.
        members: Places of the objects that it is made of.
        support: Weight of its annotators.
        oks: Mean similarity of the members with each other; 1 of one alone.
    """

    label: str | None
    points_K3: Floats
    box: tuple[float, float, float, float]
    members: tuple[int, ...]
    support: float
    oks: float


def fuse_keypoints(
    points_NK3: Floats,
    boxes_N4: Floats,
    areas_N: Floats,
    labels: Sequence[str | None],
    owners: Sequence[str],
    weights: Sequence[float],
    *,
    sigmas_K: Floats,
    min_iou: float = 0.5,
    matching: str = "greedy",
    threshold: float = 0.5,
) -> list[Posed]:
    """Return one object for each that anybody found, class by class.

    A keypoint is labelled where more than a share `threshold` of the object's annotators labelled it: then its place is
    the median of theirs in x and in y, and it is seen where more than half of them saw it, else hidden.

    Args:
        points_NK3: x, y in px, and v: 0 (not labelled), 1 (hidden) or 2 (seen).
        boxes_N4: x, y, w, h in px.
        areas_N: Of the objects, px².
        labels: Class of each object; (N,).
        owners: Annotator of each; (N,).
        weights: Votes behind each one's annotator, above 0; (N,).
        sigmas_K: See `lakehouse.overlap.keypoints`.
        min_iou: Similarity (`oks_of_equals`) from which two are one object.
        matching: `greedy` or `hungarian`.
        threshold: Of the annotators' weight, 0 to 1.
    """
    def alike(places: list[int]) -> Floats:
        points, boxes, areas = points_NK3[places], boxes_N4[places], areas_N[places]
        return oks_of_equals(points, points, (areas, areas), (boxes, boxes), sigmas_K)

    found = []
    for label, members in objects(labels, owners, alike, least=min_iou, matching=matching):
        own, boxes = np.array([weights[n] for n in members]), boxes_N4[members]
        corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
        left, top, right, bottom = np.average(corners, axis=0, weights=own).tolist()
        pairs = alike(members)[np.triu_indices(len(members), 1)]
        voted = np.array([_voted(each, own, threshold) for each in points_NK3[members].transpose(1, 0, 2)])
        box = (left, top, right - left, bottom - top)
        mean_oks = float(pairs.mean()) if len(pairs) else 1.0
        found.append(Posed(label, voted, box, tuple(members), float(own.sum()), mean_oks))
    return found


def _voted(said_N3: Floats, weights: Floats, threshold: float) -> tuple[float, float, float]:
    labelled = said_N3[:, 2] > ABSENT
    if not weights[labelled].sum() > threshold * weights.sum():
        return 0.0, 0.0, float(ABSENT)
    own, there = weights[labelled], said_N3[labelled]
    x, y = (median(there[:, axis], own).value or 0.0 for axis in (0, 1))
    is_seen = (mean((there[:, 2] == SEEN).astype(np.float64), own).value or 0.0) > 0.5
    return x, y, float(SEEN if is_seen else HIDDEN)
