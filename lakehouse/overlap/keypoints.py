"""Object keypoint similarity (OKS), as COCO defines it, and between annotators who are equals.

The similarity of two objects is the mean of exp(-d² / (2 s² k²)) over keypoints: d the distance in px, s² the object's
area in px², k twice the keypoint's sigma (https://cocodataset.org/#keypoints-eval).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lakehouse.overlap.arrays import Floats
from lakehouse.overlap.boxes import iou

COCO_SIGMAS = {
    "nose": 0.026, "eye": 0.025, "ear": 0.035, "shoulder": 0.079, "elbow": 0.072, "wrist": 0.062, "hip": 0.107,
    "knee": 0.087, "ankle": 0.089,
}  # fmt: skip
"""Of COCO's 17 keypoints of a person, left and right the same."""


def sigmas_of(names: Sequence[str], num_points: int, stated: Sequence[float] = ()) -> Floats:
    """Return how far each keypoint may be off, as a share of the root of the object's area: float64 (K,).

    Args:
        names: Names of the keypoints; () where the question states none.
        num_points: K.
        stated: The question's `sigmas`; without them those of COCO where the names are COCO's, else 1 / K each.

    Raises:
        ValueError: If another number of them is stated.
    """
    if stated:
        if len(stated) != num_points:
            raise ValueError(f"the question states {len(stated)} sigmas for {num_points} keypoints")
        return np.array(stated, dtype=np.float64)
    plain = [name.removeprefix("left_").removeprefix("right_") for name in names]
    if plain and len(plain) == num_points and all(name in COCO_SIGMAS for name in plain):
        return np.array([COCO_SIGMAS[name] for name in plain])
    return np.full(num_points, 1 / max(num_points, 1))


def oks(said_NK3: Floats, truth_MK3: Floats, areas_M: Floats, boxes_M4: Floats, sigmas_K: Floats) -> Floats:
    """Return the similarity of predicted objects and true ones; float64 (N, M), 0 to 1.

    It is the mean over the keypoints that the true one has labelled; of a true object without a labelled point d is how
    far the predicted points lie outside twice its box.

    Args:
        said_NK3: x, y in px, and v, which is not read.
        truth_MK3: x, y in px, v above 0 where labelled.
        areas_M: Of the true objects, px².
        boxes_M4: x, y, w, h of the true objects, px.
        sigmas_K: See `sigmas_of`.
    """
    found = np.zeros((len(said_NK3), len(truth_MK3)))
    if not found.size:
        return found
    points = said_NK3[:, :, :2]
    for place, own in enumerate(truth_MK3):
        labelled = own[:, 2] > 0
        if labelled.any():
            off = points - own[None, :, :2]
        else:
            low, high = boxes_M4[place, :2] - boxes_M4[place, 2:], boxes_M4[place, :2] + 2 * boxes_M4[place, 2:]
            off = np.maximum(0, low - points) + np.maximum(0, points - high)
            labelled = np.ones(len(own), dtype=bool)
        alike = _alike(off, float(areas_M[place]), sigmas_K)
        found[:, place] = alike[:, labelled].mean(axis=1)
    return found


def oks_of_equals(
    one_NK3: Floats, other_MK3: Floats, areas: tuple[Floats, Floats], boxes: tuple[Floats, Floats], sigmas_K: Floats
) -> Floats:
    """Return the similarity of objects of two annotators, neither of whom is the truth; float64 (N, M), 0 to 1.

    As `oks`, over the keypoints that both have labelled and with the mean of both areas: symmetric, and what one of
    them leaves out is no distance. Of two objects without such a keypoint it is the overlap of their boxes.

    Args:
        one_NK3: x, y in px, v above 0 where labelled.
        other_MK3: The same.
        areas: Of both, px²; (N,) and (M,).
        boxes: x, y, w, h of both, px; (N, 4) and (M, 4).
        sigmas_K: See `sigmas_of`.
    """
    found = iou(*boxes)
    for n, m in np.ndindex(found.shape):
        both = (one_NK3[n, :, 2] > 0) & (other_MK3[m, :, 2] > 0)
        if both.any():
            off = one_NK3[n, both, :2] - other_MK3[m, both, :2]
            found[n, m] = _alike(off, float(areas[0][n] + areas[1][m]) / 2, sigmas_K[both]).mean()
    return found


def _alike(off: Floats, area: float, sigmas_K: Floats) -> Floats:
    # Terms in the order in which pycocotools has them, so that the last digit is the same.
    scaled = (off**2).sum(axis=-1) / (2 * sigmas_K) ** 2 / (area + np.spacing(1)) / 2
    return np.asarray(np.exp(-scaled), np.float64)
