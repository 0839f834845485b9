"""How predicted boxes are scored: as COCO scores boxes, see `lakehouse.datasets.policies.detection`.

The overlap is intersection over union; with a crowd, the share of the predicted box that lies in it. Areas are those
of the boxes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from lakehouse.datasets.policies.box_samples import corners
from lakehouse.datasets.policies.detection import Flags, Floats, Ints, Objects, Shape, measures_of, weigh_objects
from lakehouse.datasets.policies.kind import Score, Scored
from lakehouse.errors import ConfigError


def overlaps_of(said: Objects, truth: Objects, is_crowd: Flags) -> Floats:
    """Return intersection over union of boxes, over the predicted box alone for crowds; (predicted, true)."""
    one, other = corners(said), corners(truth)
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    areas = [np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(axis=1) for boxes in (one, other)]
    union = np.where(is_crowd[None, :], areas[0][:, None], areas[0][:, None] + areas[1][None, :] - shared)
    overlaps: Floats = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return overlaps


def area_of(box: Mapping[str, Any]) -> float:
    """Return the area of a box, px²."""
    return float(box["w"] * box["h"])


SHAPE = Shape(overlaps_of, area_of, area_of)
MEASURES = measures_of(SHAPE.recalls_at, SHAPE.bands)


def weigh_boxes(rows: Sequence[Scored]) -> Callable[[Ints], Iterator[Score]]:
    """Return what scores predicted boxes, from how often each row counts; see `weigh_objects`.

    Args:
        rows: One for each member; boxes as JSON: label, x, y, w, h in px, and score, iscrowd, difficult if stated.

    Raises:
        ConfigError: If a prediction is no box with a label.
    """
    check_shaped(rows, ("label", "x"), "box with a label")
    return weigh_objects(rows, SHAPE)


def score_boxes(rows: Sequence[Scored]) -> Iterator[Score]:
    """Yield the scores of predicted boxes, each row counting once."""
    return weigh_boxes(rows)(np.ones(len(rows), np.int64))


def check_shaped(rows: Sequence[Scored], keys: Sequence[str], what: str) -> None:
    """Check that every predicted object states these keys.

    Raises:
        ConfigError: If one does not.
    """
    for row in rows:
        for each in row.answer or ():
            if any(each.get(key) is None for key in keys):
                raise ConfigError(f"the prediction about {row.entity_id} has a region that is no {what}: {each}")
