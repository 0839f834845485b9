"""Shapes of CVAT's XML 1.1 as regions: px of the picture, boxes and ellipses turned about their centre.

https://docs.cvat.ai/docs/other/xml_format
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lakehouse.errors import RejectedInputError
from lakehouse.opinions.geometry import rle
from lakehouse.opinions.geometry.raster import Points
from lakehouse.opinions.geometry.regions import mask_fields, polygon_fields
from lakehouse.opinions.reading import values as parse
from lakehouse.opinions.reading.answer import Frame, Region
from lakehouse.opinions.reading.xml_tree import Element

DIGITS = 9
"""Of px: 376.1 - 176.05 is 200.05, not 200.05000000000001."""

OWN = ("occluded", "source", "z_order", "group_id")
"""What CVAT says of every shape beside its geometry: kept as attributes of the region, where it is not the usual."""

USUAL = {"occluded": "0", "source": "manual", "z_order": "0"}

Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Labels:
    """What a task says of its labels.

    Attributes:
        labels: All of them; none: it lists none.
        points: Label of a skeleton -> names of its points, in order.
    """

    labels: frozenset[str] = frozenset()
    points: Mapping[str, Sequence[str]] = field(default_factory=dict)


def region_of(element: Element, frame: Frame, known: Labels, label: str | None = None) -> Region:
    """Return the region that a shape is.

    Args:
        element: box, polygon, polyline, points, ellipse, mask or skeleton.
        frame: The picture that it lies in.
        known: What the task says of its labels.
        label: Of the track that the shape is of; None takes its own.

    Raises:
        RejectedInputError: unknown_shape, no_label, no_coordinate, inverted_box, bad_mask or another rule of reading
            numbers.
    """
    if element.tag not in FIELDS:
        # A cuboid among them: eight corners of a solid are no outline.
        raise RejectedInputError("unknown_shape", f"has <{element.tag[:80]}>, which is not read: {SHAPES}")
    name = label_of(element, label)
    fields, attrs = FIELDS[element.tag](element, frame, known.points.get(name, ())), attributes_of(element)
    attrs |= fields.pop("attrs", {})
    return Region(label=name, **fields, attrs=attrs or None)


def label_of(element: Element, label: str | None = None) -> str:
    """Return the label of a shape or tag; `label`: of the track that it is of, None takes its own.

    Raises:
        RejectedInputError: no_label, if it has none.
    """
    stated = label if label is not None else element.attributes.get("label", "")
    if not stated:
        raise RejectedInputError("no_label", f"has a <{element.tag}> without label, which says nothing")
    return parse.label_id(stated, "label of a shape")


def attributes_of(element: Element) -> dict[str, str]:
    """Return what is said of a shape: its attributes, and occluded, source, z_order where they are not as usual."""
    found = {name: text for name in OWN if (text := element.attributes.get(name)) not in (None, USUAL.get(name))}
    for each in element.all("attribute"):
        name = parse.check_text(each.attributes.get("name", ""), "name of an attribute")
        # An attribute of the task may be called as one of CVAT's own.
        key = f"attribute.{name}" if name in OWN else name
        if key in found:
            raise RejectedInputError("repeated_element", f"has attribute {name!a:.80} of a <{element.tag}> twice")
        found[key] = parse.check_text(each.text, "attribute")
    return {name: parse.check_text(text, name) for name, text in found.items() if text is not None}


def coordinate(element: Element, name: str) -> float:
    """Return a number that an attribute holds.

    Raises:
        RejectedInputError: no_coordinate, if it is missing; not_a_number.
    """
    text = element.attributes.get(name)
    if text is None:
        raise RejectedInputError("no_coordinate", f"has a <{element.tag}> without {name}")
    return parse.number(text, name)


def flag(element: Element, name: str) -> bool:
    """Return an attribute that is 0 or 1; missing is 0."""
    return parse.boolean(element.attributes.get(name, "0"), name)


def _box(element: Element, _frame: Frame, _order: Sequence[str]) -> Fields:
    left, top, right, bottom = (coordinate(element, name) for name in ("xtl", "ytl", "xbr", "ybr"))
    w, h = round(right - left, DIGITS), round(bottom - top, DIGITS)
    if w < 0 or h < 0:
        raise RejectedInputError("inverted_box", f"has a box that ends before it begins: {w:g} x {h:g}")
    return {"kind": "box", "x": left, "y": top, "w": w, "h": h, "angle": _angle(element)}


def _ellipse(element: Element, _frame: Frame, _order: Sequence[str]) -> Fields:
    cx, cy, rx, ry = (coordinate(element, name) for name in ("cx", "cy", "rx", "ry"))
    if rx < 0 or ry < 0:
        raise RejectedInputError("inverted_box", f"has an ellipse of radius {rx:g} and {ry:g} px")
    return {
        "kind": "ellipse", "x": round(cx - rx, DIGITS), "y": round(cy - ry, DIGITS), "w": 2 * rx, "h": 2 * ry,
        "angle": _angle(element),
    }  # fmt: skip


def _polygon(element: Element, _frame: Frame, _order: Sequence[str]) -> Fields:
    return dict(polygon_fields([_points(element)], closed=element.tag == "polygon"))


def _keypoints(element: Element, _frame: Frame, _order: Sequence[str]) -> Fields:
    points = _points(element)
    if len(points) == 1:
        x, y = points[0].tolist()
        return {"kind": "point", "points": ({"x": x, "y": y},), "x": x, "y": y, "w": 0.0, "h": 0.0}
    return _named([(x, y, 2) for x, y in points.tolist()])


def _skeleton(element: Element, _frame: Frame, order: Sequence[str]) -> Fields:
    found: dict[str, tuple[float, float, int]] = {}
    attrs: dict[str, str] = {}
    for each in element.all("points"):
        name = each.attributes.get("label", "")
        if name in found:
            raise RejectedInputError("repeated_element", f"has point {name!a:.80} of a skeleton twice")
        visible = 0 if flag(each, "outside") else 1 if flag(each, "occluded") else 2
        x, y = _points(each)[0].tolist() if visible else (0.0, 0.0)
        found[name] = (x, y, visible)
        attrs |= {f"{name}.{key}": text for key, text in attributes_of(each).items() if key not in OWN}
    names = [*order, *(name for name in found if name not in order)]
    fields = _named([found.get(name, (0.0, 0.0, 0)) for name in names])
    return fields | {"attrs": {**attrs, "keypoints": json.dumps(names, ensure_ascii=False)}}


def _mask(element: Element, frame: Frame, _order: Sequence[str]) -> Fields:
    if frame.width is None or frame.height is None:
        raise RejectedInputError("no_frame_size", "has a mask in a picture whose size it does not state")
    left, top, width, height = (
        parse.integer(element.attributes.get(name, ""), name) for name in ("left", "top", "width", "height")
    )
    runs = [parse.integer(each, "rle") for each in element.attributes.get("rle", "").split(",") if each.strip()]
    if min(left, top, width, height) < 0 or left + width > frame.width or top + height > frame.height:
        raise RejectedInputError("bad_mask", "has a mask that reaches beyond its picture")
    # Row by row inside its box: the transpose of what COCO's runs, column by column, would be.
    inside = rle.decode(runs, width, height).T
    runs_inside = rle.encode_inside(inside, left, top, frame.height, frame.width)
    return dict(mask_fields(runs_inside, frame.height, frame.width))


def _named(points: Sequence[tuple[float, float, int]]) -> Fields:
    seen = [(x, y) for x, y, v in points if v]
    left, top = (min((each[axis] for each in seen), default=0.0) for axis in (0, 1))
    right, bottom = (max((each[axis] for each in seen), default=0.0) for axis in (0, 1))
    return {
        "kind": "keypoints", "points": tuple({"x": x, "y": y, "v": v} for x, y, v in points), "x": left, "y": top,
        "w": right - left, "h": bottom - top,
    }  # fmt: skip


def _points(element: Element) -> Points:
    pairs = [each.split(",") for each in element.attributes.get("points", "").split(";") if each.strip()]
    if not pairs or any(len(pair) != 2 for pair in pairs):
        raise RejectedInputError("no_coordinate", f"has a <{element.tag}> whose points are no pairs x,y")
    return np.array([[parse.number(each, "point") for each in pair] for pair in pairs], np.float64)


def _angle(element: Element) -> float | None:
    return parse.number(element.attributes.get("rotation", "0"), "rotation") or None


FIELDS: Mapping[str, Callable[[Element, Frame, Sequence[str]], Fields]] = {
    "box": _box, "ellipse": _ellipse, "polygon": _polygon, "polyline": _polygon, "points": _keypoints,
    "mask": _mask, "skeleton": _skeleton,
}  # fmt: skip
SHAPES = f"shapes are {', '.join(FIELDS)}"
