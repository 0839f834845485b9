"""How predicted masks and polygons are scored: as COCO scores segmentation, by the pixels that they share.

Polygons are drawn by COCO's rule, in a frame that
holds all of one class in the picture. See `lakehouse.datasets.policies.detection`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lakehouse.datasets.policies.box_scores import check_shaped
from lakehouse.datasets.policies.detection import Flags, Floats, Ints, Objects, Shape, measures_of, weigh_objects
from lakehouse.datasets.policies.kind import Score, Scored
from lakehouse.errors import ConfigError
from lakehouse.opinions.geometry import rle
from lakehouse.opinions.geometry.polygon import area_of as outlined
from lakehouse.opinions.geometry.raster import runs_of
from lakehouse.overlap.masks import mask_iou

Points = npt.NDArray[np.float64]


def of_masks(said: Objects, truth: Objects, is_crowd: Flags) -> Floats:
    """Return the overlaps of masks."""
    runs, others = ([rle.decompress(each["counts"]) for each in some] for some in (said, truth))
    return mask_iou(runs, others, crowds_M=is_crowd)


def of_polygons(said: Objects, truth: Objects, is_crowd: Flags) -> Floats:
    """Return the overlaps of what polygons fill."""
    points = [point for each in (*said, *truth) for part in outlines(each) for point in part]
    if not points:
        return np.zeros((len(said), len(truth)))
    width, height = (max(1, math.ceil(axis)) for axis in np.max(points, axis=0))
    runs, others = ([runs_of(outlines(each), height, width) for each in some] for some in (said, truth))
    return mask_iou(runs, others, crowds_M=is_crowd)


def outlines(each: Mapping[str, Any]) -> list[Points]:
    """Return the parts of a polygon; each float64 (points, 2), px."""
    return [np.reshape(np.array(part, dtype=np.float64), (-1, 2)) for part in each["parts"]]


def polygon_area(each: Mapping[str, Any]) -> float:
    """Return the stated area of a polygon, px², else that within its outlines."""
    return float(each["area"]) if "area" in each else outlined(outlines(each))


def _set_pixels(each: Mapping[str, Any]) -> float:
    return float(each["area"])


SHAPE = Shape(of_masks, _set_pixels, _set_pixels)
POLYGON_SHAPE = Shape(of_polygons, polygon_area, polygon_area)
MEASURES = measures_of(SHAPE.recalls_at, SHAPE.bands)


def weigh_masks(rows: Sequence[Scored]) -> Callable[[Ints], Iterator[Score]]:
    """Return what scores predicted masks, from how often each row counts.

    Raises:
        ConfigError: If a prediction is no mask with a label, or of another size than the truth.
    """
    plain = [
        Scored(row.entity_id, row.truth["objects"], None if row.answer is None else row.answer["objects"])
        for row in rows
    ]
    check_shaped(plain, ("label", "counts"), "mask with a label")
    for row in rows:
        sizes = [each["size"] for each in (row.truth, row.answer) if each is not None and each["size"] is not None]
        if any(size != sizes[0] for size in sizes):
            raise ConfigError(
                f"the prediction about {row.entity_id} has masks of {sizes[1][0]} x {sizes[1][1]} px, the dataset of "
                f"{sizes[0][0]} x {sizes[0][1]}"
            )
    return weigh_objects(plain, SHAPE)


def score_masks(rows: Sequence[Scored]) -> Iterator[Score]:
    """Yield the scores of predicted masks, each row counting once."""
    return weigh_masks(rows)(np.ones(len(rows), np.int64))


def weigh_polygons(rows: Sequence[Scored]) -> Callable[[Ints], Iterator[Score]]:
    """Return what scores predicted polygons, from how often each row counts.

    Raises:
        ConfigError: If a prediction is no polygon with a label.
    """
    check_shaped(rows, ("label", "parts"), "polygon with a label")
    return weigh_objects(rows, POLYGON_SHAPE)


def score_polygons(rows: Sequence[Scored]) -> Iterator[Score]:
    """Yield the scores of predicted polygons, each row counting once."""
    return weigh_polygons(rows)(np.ones(len(rows), np.int64))
