"""How predicted boxes are scored: as COCO scores boxes, see `lakehouse.datasets.policies.detection`.

The overlap is intersection over union; with a crowd, the share of the predicted box that lies in it. The area of an
object, for bands of areas, is that of its mask or polygon where there is one, else that of the box.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from lakehouse.datasets.policies.box_samples import sides
from lakehouse.datasets.policies.detection import Flags, Floats, Ints, Objects, Shape, measures_of, weigh_objects
from lakehouse.datasets.policies.kind import Score, Scored
from lakehouse.errors import ConfigError
from lakehouse.overlap.boxes import iou


def overlaps_of(said: Objects, truth: Objects, is_crowd: Flags) -> Floats:
    """Return intersection over union of boxes, over the predicted box alone for crowds; (predicted, true)."""
    one, other = sides(said), sides(truth)
    # As in pycocotools, a predicted box without area overlaps nothing.
    return np.where(one[:, 2:].min(axis=1, initial=np.inf)[:, None] > 0, iou(one, other, crowds_M=is_crowd), 0.0)


def area_of(box: Mapping[str, Any]) -> float:
    """Return the stated area of a box, px²; where none is stated, that of its sides."""
    return float(box.get("area", box["w"] * box["h"]))


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
