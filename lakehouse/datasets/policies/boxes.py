"""Boxes: whose answer holds, as boxes of one picture in the order in which they were said."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from lakehouse.datasets.policies.box_samples import SAMPLE_NAMES, box_samples
from lakehouse.datasets.policies.box_scores import MEASURES, score_boxes, weigh_boxes
from lakehouse.datasets.policies.kind import AnswerKind, Decision, because_of, in_form_asked
from lakehouse.datasets.policies.newest import NEWEST, SAID, newest_sql, unsettled
from lakehouse.datasets.policies.settings import Label
from lakehouse.opinions.exporting.answers import region_of
from lakehouse.opinions.geometry import rle
from lakehouse.opinions.geometry.polygon import area_of
from lakehouse.opinions.geometry.regions import parts_of

TRUE = ("1", "true", "yes")


def decide(row: Mapping[str, Any], settings: Label) -> Decision:
    """Return the boxes of one picture, or why they are no answer."""
    nobodys = unsettled(row, settings)
    if nobodys is not None:
        return nobodys
    boxes: list[dict[str, object]] = []
    for place, region in enumerate(row["regions"], start=1):
        if None in (region["x"], region["y"], region["w"], region["h"]) or region["angle"]:
            return Decision(reason="not_boxes", detail=f"region {place} ({region['kind']}) is no upright box")
        if region["label"] is None:
            return Decision(reason="no_box_label", detail=f"region {place} has no label")
        boxes.append(box_of(region))
    return Decision(answer=boxes)


def box_of(region: Mapping[str, Any]) -> dict[str, object]:
    """Return label, x, y, w and h of a region, `area` where it is another than the box has, and what else it states.

    The area, px², decides in which band of areas an object is scored: COCO's is that of the mask or polygon that the
    box is around, where there is one.
    """
    found = {name: region[name] for name in ("label", "x", "y", "w", "h")}
    area = filled(region)
    more = {} if area is None or math.isclose(area, region["w"] * region["h"]) else {"area": area}
    return found | more | stated_of(region)


def filled(region: Mapping[str, Any]) -> float | None:
    """Return the stated area of a region, px²; else that within the outline of a polygon or in the pixels of a mask;
    None of other shapes."""
    if region["area"] is not None:
        return float(region["area"])
    if region["kind"] == "polygon" and region["points"]:
        return area_of(parts_of(region_of(region)))
    return float(rle.area(rle.decompress(region["mask_counts"]))) if region["mask_counts"] is not None else None


def stated_of(region: Mapping[str, Any]) -> dict[str, object]:
    """Return `score`, `iscrowd` and `difficult` of a region, those that it states."""
    found: dict[str, object] = {name: region[name] for name in ("score", "iscrowd") if region[name] is not None}
    difficult = dict(region["attrs"] or ()).get("difficult")
    if difficult is not None:
        found["difficult"] = difficult.strip().lower() in TRUE
    return found


def read(regions: Sequence[Mapping[str, Any]]) -> list[dict[str, object]]:
    """Return the boxes of one opinion, as answers of datasets have them.

    A predicted box has the area of its sides, whatever it states, as results of COCO do.
    """
    found = [box_of(region) for region in regions]
    for box, region in zip(found, regions, strict=True):
        if region["kind"] == "box":
            box.pop("area", None)
    return found


BOXES = AnswerKind(
    value_kind="regions",
    task="boxes",
    # As it was called when there were no other regions.
    contract="regions",
    shapes=("box",),
    policies=NEWEST,
    # 2: answers tell an area that is not the box's.
    version=2,
    hears=("event_time", "labels", "regions"),
    tally=newest_sql("regions", labelled=True),
    decide=decide,
    because=because_of("boxes"),
    classes=SAID,
    has_cell=True,
    samples=box_samples,
    sample_names=SAMPLE_NAMES,
    read=read,
    score=score_boxes,
    weigh=weigh_boxes,
    measures=MEASURES,
    bind=in_form_asked(box_samples),
)
