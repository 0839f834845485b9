"""How predicted keypoints are scored: as COCO does, by object keypoint similarity in the place of overlap.

Source: pycocotools' `COCOeval` of type `keypoints`; the similarity is `lakehouse.overlap.keypoints.oks`. A true object
without a labelled point counts neither way. The 20 best predictions of a class in a picture count; there is no band of
small objects.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from lakehouse.datasets.policies.box_samples import sides
from lakehouse.datasets.policies.box_scores import check_shaped
from lakehouse.datasets.policies.detection import Flags, Floats, Ints, Objects, Shape, measures_of, weigh_objects
from lakehouse.datasets.policies.kind import Score, Scored
from lakehouse.errors import ConfigError
from lakehouse.overlap.keypoints import oks, sigmas_of

MOST = 20
BANDS = ("", "_medium", "_large")
MEASURES = measures_of((MOST,), BANDS)


def similarities(
    said: Objects, truth: Objects, _is_crowd: Flags, *, names: Sequence[str] = (), sigmas: Sequence[float] = ()
) -> Floats:
    """Return the object keypoint similarity; float64 (predicted, true), 0 to 1.

    Raises:
        ConfigError: If the question states another number of sigmas.
    """
    if not said or not truth:
        return np.zeros((len(said), len(truth)))
    # points: (objects, K, 3)
    points, own = (np.array([each["points"] for each in some], dtype=np.float64) for some in (said, truth))
    try:
        spread = sigmas_of(names, points.shape[1], sigmas)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    return oks(points, own, np.array([area_of(each) for each in truth]), sides(truth), spread)


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
