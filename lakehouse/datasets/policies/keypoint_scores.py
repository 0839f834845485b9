"""How predicted keypoints are scored: as COCO does, by object keypoint similarity in the place of overlap.

Source: pycocotools' `COCOeval` of type `keypoints`. The similarity of a predicted and a true object is the mean of
exp(-d² / (2 s² k²)) over the keypoints that the true one has labelled: d the distance in px, s² the object's area, k
twice the keypoint's sigma. Of a true object without a labelled point d is how far the predicted points lie outside
twice its box, and it counts neither way. The 20 best predictions of a class in a picture count; there is no band of
small objects.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from lakehouse.datasets.policies.box_scores import check_shaped
from lakehouse.datasets.policies.detection import Flags, Floats, Ints, Objects, Shape, measures_of, weigh_objects
from lakehouse.datasets.policies.kind import Score, Scored
from lakehouse.errors import ConfigError

COCO_SIGMAS = {
    "nose": 0.026, "eye": 0.025, "ear": 0.035, "shoulder": 0.079, "elbow": 0.072, "wrist": 0.062, "hip": 0.107,
    "knee": 0.087, "ankle": 0.089,
}  # fmt: skip
"""Of COCO's 17 keypoints of a person, left and right the same."""

MOST = 20
BANDS = ("", "_medium", "_large")
MEASURES = measures_of((MOST,), BANDS)


def sigmas_of(names: Sequence[str], num_points: int, stated: Sequence[float] = ()) -> Floats:
    """Return how far each keypoint may be off, as a share of the root of the object's area: float64 (K,).

    Args:
        names: Names of the keypoints; () where the question states none.
        num_points: K.
        stated: The question's `sigmas`; without them those of COCO where the names are COCO's, else 1 / K each.

    Raises:
        ConfigError: If another number of them is stated.
    """
    if stated:
        if len(stated) != num_points:
            raise ConfigError(f"the question states {len(stated)} sigmas for {num_points} keypoints")
        return np.array(stated, dtype=np.float64)
    plain = [name.removeprefix("left_").removeprefix("right_") for name in names]
    if plain and all(name in COCO_SIGMAS for name in plain):
        return np.array([COCO_SIGMAS[name] for name in plain])
    return np.full(num_points, 1 / max(num_points, 1))


def similarities(
    said: Objects, truth: Objects, _is_crowd: Flags, *, names: Sequence[str] = (), sigmas: Sequence[float] = ()
) -> Floats:
    """Return the object keypoint similarity; float64 (predicted, true), 0 to 1."""
    found = np.zeros((len(said), len(truth)))
    if not said or not truth:
        return found
    # points: (objects, K, 3)
    points = np.array([each["points"] for each in said], dtype=np.float64)
    variances = (2 * sigmas_of(names, points.shape[1], sigmas)) ** 2
    for place, each in enumerate(truth):
        own = np.array(each["points"], dtype=np.float64)
        labelled = own[:, 2] > 0
        if labelled.any():
            off = points[:, :, :2] - own[None, :, :2]
        else:
            low = np.array([each["x"] - each["w"], each["y"] - each["h"]])
            high = np.array([each["x"] + 2 * each["w"], each["y"] + 2 * each["h"]])
            off = np.maximum(0, low - points[:, :, :2]) + np.maximum(0, points[:, :, :2] - high)
            labelled = np.ones(len(own), dtype=bool)
        scaled = (off**2).sum(axis=2) / variances / (area_of(each) + np.spacing(1)) / 2
        found[:, place] = np.exp(-scaled[:, labelled]).mean(axis=1)
    return found


def area_of(each: Mapping[str, Any]) -> float:
    """Return the stated area of a true object, px²; where none is stated, that of its box."""
    return float(each.get("area", each["w"] * each["h"]))


def area_said(each: Mapping[str, Any]) -> float:
    """Return the area of the bounds of predicted points, px²."""
    points = np.array(each["points"], dtype=np.float64)[:, :2]
    return float(np.prod(points.max(axis=0) - points.min(axis=0)))


def is_unlabelled(each: Mapping[str, Any]) -> bool:
    """Return whether no keypoint of a true object is labelled."""
    return not any(point[2] > 0 for point in each["points"])


def weigh_keypoints(
    rows: Sequence[Scored], *, names: Sequence[str] = (), sigmas: Sequence[float] = ()
) -> Callable[[Ints], Iterator[Score]]:
    """Return what scores predicted keypoints, from how often each row counts; see `weigh_objects`.

    Raises:
        ConfigError: If a prediction has no keypoints with a label, or another number of them than the truth.
    """
    check_shaped(rows, ("label",), "object with a label")
    numbers = {len(each["points"]) for row in rows for each in row.truth}
    for row in rows:
        for each in row.answer or ():
            if not each["points"] or (numbers and {len(each["points"])} != numbers):
                raise ConfigError(
                    f"the prediction about {row.entity_id} has {len(each['points'])} keypoints in an object, the "
                    f"dataset {' or '.join(map(str, sorted(numbers))) or 'some'}"
                )
    overlaps = functools.partial(similarities, names=names, sigmas=sigmas)
    return weigh_objects(rows, Shape(overlaps, area_of, area_said, MOST, (MOST,), BANDS, is_unlabelled))


def score_keypoints(
    rows: Sequence[Scored], *, names: Sequence[str] = (), sigmas: Sequence[float] = ()
) -> Iterator[Score]:
    """Yield the scores of predicted keypoints, each row counting once."""
    return weigh_keypoints(rows, names=names, sigmas=sigmas)(np.ones(len(rows), np.int64))
