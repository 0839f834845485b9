"""One annotation of COCO as a region."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lakehouse.errors import RejectedInputError
from lakehouse.opinions.formats.coco.document import MAX_SIDE, Category, Record, integer_id
from lakehouse.opinions.geometry import rle
from lakehouse.opinions.geometry.polygon import area_of
from lakehouse.opinions.geometry.raster import Points, runs_of
from lakehouse.opinions.geometry.regions import mask_fields, polygon_fields
from lakehouse.opinions.reading.answer import Frame, Region
from lakehouse.opinions.reading.values import label_id

BOX = ("x", "y", "w", "h")

READ = {
    "id", "image_id", "category_id", "bbox", "segmentation", "area", "iscrowd", "keypoints", "num_keypoints", "score",
    "attributes",
}  # fmt: skip
"""Keys of an annotation that are read; `num_keypoints` follows from the keypoints."""

_NUMBERS = {int, float}


def region_of(record: Record, categories: Mapping[int, Category], frame: Frame, *, points: bool) -> Region:
    """Return the region that an annotation or a detection is.

    Args:
        record: It.
        categories: By their ids.
        frame: Size of its picture.
        points: Whether its keypoints are taken, where it has some; else its segmentation.

    Raises:
        RejectedInputError: If it has no place in a picture, or one that cannot be.
    """
    category = categories.get(integer_id(record, "category_id"))
    if category is None:
        raise RejectedInputError("unknown_category", f"category_id {record['category_id']} is in no `categories`")
    segmentation = record.get("segmentation")
    if points and record.get("keypoints"):
        shape = _keypoints(record["keypoints"], category)
    elif isinstance(segmentation, dict):
        shape = dict(mask_fields(*mask_of(segmentation)))
    elif isinstance(segmentation, list) and segmentation:
        shape = dict(polygon_fields([_part(each) for each in segmentation]))
    elif segmentation is None or segmentation == []:
        shape = {"kind": "box"}
    else:
        raise RejectedInputError("bad_polygon", f"segmentation is {segmentation!a:.80}")
    box = record.get("bbox")
    if box is not None:
        shape |= zip(BOX, _numbers(box, "bbox", 4), strict=True)
    elif "x" not in shape:
        raise RejectedInputError("no_box", "has neither bbox nor segmentation nor keypoints")
    stated = record.get("area")
    if stated is not None:
        shape["area"] = _numbers([stated], "area", 1)[0]
    elif shape["kind"] == "polygon":
        shape["area"] = _filled([_part(each) for each in record["segmentation"]], frame)
    elif shape["kind"] == "box":
        shape["area"] = shape["w"] * shape["h"]
    score = record.get("score")
    return Region(
        label=label_id(category.name, "category"),
        score=None if score is None else _numbers([score], "score", 1)[0],
        # 0 is what everything is that is no crowd: an answer of another format says nothing of it.
        iscrowd=True if record.get("iscrowd") in (1, True) else None,
        attrs=_attributes(record.get("attributes")),
        **shape,
    )


def mask_of(segmentation: Mapping[str, Any]) -> tuple[rle.Runs, int, int]:
    """Return runs, height and width of a mask, compressed or not.

    Raises:
        RejectedInputError: bad_mask.
    """
    size, counts = segmentation.get("size"), segmentation.get("counts")
    if not isinstance(size, list) or len(size) != 2 or not all(type(n) is int and 0 <= n <= MAX_SIDE for n in size):
        raise RejectedInputError("bad_mask", f"size of a mask must be height and width, found {size!a:.80}")
    if isinstance(counts, str):
        runs = rle.decompress(counts)
    elif isinstance(counts, list) and all(type(each) is int and abs(each) < 2**40 for each in counts):
        runs = np.array(counts, np.int64)
    else:
        raise RejectedInputError("bad_mask", "counts of a mask must be a text or a list of whole numbers")
    return runs, size[0], size[1]


def _part(flat: object) -> Points:
    if not isinstance(flat, list) or len(flat) % 2 or not set(map(type, flat)) <= _NUMBERS:
        raise RejectedInputError("bad_polygon", f"a polygon must be a list of x, y, x, y ..., found {flat!a:.80}")
    try:
        points = np.array(flat, np.float64)
    except OverflowError:
        # A whole number of more than 308 digits.
        points = np.array([np.inf])
    if not np.isfinite(points).all():
        raise RejectedInputError("not_finite", f"a polygon must be finite, found {flat!a:.80}")
    return points.reshape(-1, 2)


def _keypoints(flat: object, category: Category) -> dict[str, Any]:
    if not isinstance(flat, list) or len(flat) % 3 or not set(map(type, flat)) <= _NUMBERS:
        raise RejectedInputError("bad_keypoints", f"keypoints must be x, y, v, x, y, v ..., found {flat!a:.80}")
    named = len(category.keypoints)
    if named and len(flat) != 3 * named:
        raise RejectedInputError("bad_keypoints", f"has {len(flat) // 3} keypoints, its category names {named}")
    flat = _finite(flat, "keypoints")
    points = []
    for x, y, v in zip(flat[::3], flat[1::3], flat[2::3], strict=True):
        if v not in (0, 1, 2):
            raise RejectedInputError("bad_keypoints", f"visibility of a keypoint must be 0, 1 or 2, found {v}")
        # Not labelled: it lies nowhere.
        points.append({"x": x, "y": y, "v": int(v)} if v else {"x": 0.0, "y": 0.0, "v": 0})
    shape: dict[str, Any] = {"kind": "keypoints", "points": tuple(points)}
    seen = [(point["x"], point["y"]) for point in points if point["v"]]
    if seen:
        (left, right), (top, bottom) = ((min(axis), max(axis)) for axis in zip(*seen, strict=True))
        shape |= {"x": left, "y": top, "w": right - left, "h": bottom - top}
    return shape


def _numbers(value: object, what: str, count: int) -> list[float]:
    if not isinstance(value, list) or len(value) != count or not set(map(type, value)) <= _NUMBERS:
        raise RejectedInputError("not_a_number", f"{what} must be {count} numbers, found {value!a:.80}")
    return _finite(value, what)


def _finite(values: Sequence[int | float], what: str) -> list[float]:
    try:
        found = [float(each) for each in values]
    except OverflowError:
        # A whole number of more than 308 digits.
        found = [math.inf]
    if not all(map(math.isfinite, found)):
        raise RejectedInputError("not_finite", f"{what} must be finite, found {values!a:.80}")
    return found


def _filled(parts: Sequence[Points], frame: Frame) -> float:
    if frame.width is None or frame.height is None:
        return area_of(parts)
    return float(rle.area(runs_of(parts, frame.height, frame.width)))


def _attributes(value: object) -> dict[str, str] | None:
    if not isinstance(value, dict) or not value:
        return None
    return {name: each if isinstance(each, str) else _plain(each) for name, each in value.items()}


def _plain(value: object) -> str:
    # As XML and CSV would have it, so that an attribute is the same text whichever file it came from.
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)
