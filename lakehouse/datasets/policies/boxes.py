"""Boxes: whose answer holds, as boxes of one picture in the order in which they were said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lakehouse.datasets.policies.box_samples import SAMPLE_NAMES, box_samples
from lakehouse.datasets.policies.box_scores import MEASURES, score_boxes, weigh_boxes
from lakehouse.datasets.policies.kind import AnswerKind, Decision, because_of, in_form_asked
from lakehouse.datasets.policies.newest import NEWEST, SAID, newest_sql, unsettled
from lakehouse.datasets.policies.settings import Label

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
    """Return label, x, y, w and h of a region, and what else it states of an object."""
    return {name: region[name] for name in ("label", "x", "y", "w", "h")} | stated_of(region)


def stated_of(region: Mapping[str, Any]) -> dict[str, object]:
    """Return `score`, `iscrowd` and `difficult` of a region, those that it states."""
    found: dict[str, object] = {name: region[name] for name in ("score", "iscrowd") if region[name] is not None}
    difficult = dict(region["attrs"] or ()).get("difficult")
    if difficult is not None:
        found["difficult"] = difficult.strip().lower() in TRUE
    return found


def read(regions: Sequence[Mapping[str, Any]]) -> list[dict[str, object]]:
    """Return the boxes of one opinion, as answers of datasets have them."""
    return [box_of(region) for region in regions]


BOXES = AnswerKind(
    value_kind="regions",
    task="boxes",
    # As it was called when there were no other regions.
    contract="regions",
    shapes=("box",),
    policies=NEWEST,
    version=1,
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
