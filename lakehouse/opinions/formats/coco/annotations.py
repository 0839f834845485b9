"""One region as an annotation of COCO."""

from __future__ import annotations

from typing import Any

from lakehouse.opinions.geometry import rle
from lakehouse.opinions.geometry.polygon import area_of, bounds_of
from lakehouse.opinions.geometry.raster import runs_of
from lakehouse.opinions.geometry.regions import box_of_region, parts_of
from lakehouse.opinions.reading.answer import Region

Size = tuple[int | None, int | None]


def annotation_of(region: Region, category_id: int, size: Size) -> dict[str, Any]:
    """Return the annotation, without its id and that of its picture.

    `iscrowd` and `area` are always there: COCO's evaluation fails without. A turned box is written as the upright one
    around it, with its corners as segmentation.

    Args:
        region: Box, polygon, mask or keypoints.
        category_id: Of its label.
        size: Width and height of the picture, px; None: unknown.
    """
    box, area = box_of_region(region), region.area
    segmentation: Any = []
    extra: dict[str, Any] = {}
    if region.kind == "mask":
        segmentation = {"size": [region.mask_h, region.mask_w], "counts": region.mask_counts}
        area = rle.area(rle.decompress(region.mask_counts or "")) if area is None else area
    elif region.kind == "polygon" or (region.kind == "box" and region.angle):
        parts = parts_of(region)
        segmentation = [[_plain(each) for each in points.ravel().tolist()] for points in parts]
        box = bounds_of(parts) if region.x is None or region.angle else box
        if area is None:
            width, height = size
            area = area_of(parts) if width is None or height is None else rle.area(runs_of(parts, height, width))
    elif region.kind == "keypoints":
        flat = [(point["x"], point["y"], point.get("v") or 0) for point in region.points or ()]
        extra["keypoints"] = [_plain(each or 0) for point in flat for each in point]
        extra["num_keypoints"] = sum(v > 0 for _, _, v in flat)
    if area is None:
        area = box[2] * box[3]
    if region.score is not None:
        extra["score"] = region.score
    if region.attrs:
        extra["attributes"] = dict(region.attrs)
    return {
        "category_id": category_id, "bbox": [_plain(each) for each in box], "area": _plain(area),
        "iscrowd": int(bool(region.iscrowd)), "segmentation": segmentation, **extra,
    }  # fmt: skip


def _plain(value: float) -> float | int:
    # 232.0 came as 232, and goes so.
    return int(value) if value == int(value) else value
