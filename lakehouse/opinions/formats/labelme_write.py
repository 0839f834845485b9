"""Writing LabelMe: one JSON file per picture, called as the picture is and lying where it lies."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from lakehouse.opinions.formats.losing import Loss, lost_fields, other_kinds
from lakehouse.opinions.formats.names import one_name_each
from lakehouse.opinions.formats.writer import Ontology, Place, Said, Writer
from lakehouse.opinions.geometry.polygon import corners_of
from lakehouse.opinions.geometry.regions import box_of_region, mask_bounds, mask_of_region, parts_of, points_of
from lakehouse.opinions.reading.answer import Region

KINDS = ("box", "polygon", "polyline", "point", "keypoints", "ellipse", "mask")
VERSION = "5.5.0"
"""Of the format that we write: the first one with masks and turned rectangles."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelMeWriting:
    """Options of writing LabelMe: none."""


def lost_in_labelme(said: Said, _options: LabelMeWriting) -> Iterator[Loss]:
    """Yield what LabelMe has no place for."""
    yield from other_kinds(said, KINDS)
    yield from lost_fields(said, region=("angle", "part_sizes", "score", "area"))
    name = said.subject.name
    for each in said.regions:
        if each.label is None:
            yield "label", f"{name}: a {each.kind} has no label, and LabelMe no shape without; it is not written"
        if each.kind == "mask" and not mask_bounds(each)[2]:
            yield "empty_mask", f"{name}: a mask of {each.label} has no pixel set, and is not written"
        if each.kind == "ellipse" and not _is_circle(each):
            yield "ellipse", f"{name}: an ellipse is written as the box around it; LabelMe has circles"
        if each.kind == "keypoints" and any(point.get("v") != 2 for point in each.points or ()):
            yield "visibility", f"{name}: which points are hidden or not labelled"
        if each.kind == "polyline" and len(each.part_sizes or ()) > 1:
            yield "part_sizes", f"{name}: parts of a line become lines of their own"
        for key in each.attrs or {}:
            if key not in ("description", "group_id") and not key.startswith("flag."):
                yield "attrs", f"{name}: {key} = {(each.attrs or {})[key]} of a {each.kind}"


def write_labelme(said: Iterable[Said], place: Place, ontology: Ontology, _options: LabelMeWriting) -> None:
    """Write one file for each answer; a picture with nothing in it gets one without shapes."""
    names = one_name_each((each.subject.name for each in said), ".json")
    for each in said:
        width, height = each.size
        groups = _taken_groups(each)
        record: dict[str, object] = {
            "version": VERSION,
            "flags": {},
            "shapes": [shape for region in each.regions for shape in _shapes(region, ontology, groups)],
            "imagePath": PurePosixPath(each.subject.name).name,
            "imageData": None,
            "imageHeight": height,
            "imageWidth": width,
        }
        place.write(names[each.subject.name], json.dumps(record, ensure_ascii=False, indent=1).encode())


def _shapes(region: Region, ontology: Ontology, groups: Iterator[int]) -> Iterator[dict[str, object]]:
    if region.kind not in KINDS or region.label is None:
        return
    attrs = region.attrs or {}
    group: object = int(attrs["group_id"]) if attrs.get("group_id", "").isdecimal() else attrs.get("group_id")
    parts = _outlines(region)
    if len(parts) > 1 and group is None:
        group = next(groups)
    for kind, points, extra in parts:
        yield {
            "label": ontology.name(region.label),
            "points": points,
            "group_id": group,
            "description": attrs.get("description", ""),
            "shape_type": kind,
            "flags": {key.removeprefix("flag."): text == "true" for key, text in attrs.items()
                      if key.startswith("flag.")},
            **({} if region.score is None else {"score": region.score}),
            **extra,
        }  # fmt: skip


def _outlines(region: Region) -> list[tuple[str, list[list[float]], dict[str, object]]]:
    x, y, w, h = box_of_region(region)
    if region.kind == "box" and region.angle:
        return [("oriented_rectangle", corners_of(x, y, w, h, region.angle).tolist(), {})]
    if region.kind == "ellipse" and _is_circle(region):
        return [("circle", [[x + w / 2, y + h / 2], [x + w, y + h / 2]], {})]
    if region.kind in ("box", "ellipse"):
        return [("rectangle", [[x, y], [x + w, y + h]], {})]
    if region.kind == "mask":
        left, top, width, height = mask_bounds(region)
        corners = [[float(left), float(top)], [left + width - 1.0, top + height - 1.0]]
        return [("mask", corners, {"mask": _png(region)})] if width else []
    if region.kind in ("polygon", "polyline"):
        kind = "polygon" if region.kind == "polygon" else "linestrip"
        return [(kind, part.tolist(), {}) for part in parts_of(region)]
    points = points_of(region).tolist()
    return [("point" if region.kind == "point" else "points", points, {})]


def _png(region: Region) -> str:
    from PIL import Image

    x, y, w, h = mask_bounds(region)
    mask = mask_of_region(region, region.mask_h or 0, region.mask_w or 0)[y : y + h, x : x + w]
    data = io.BytesIO()
    Image.fromarray(mask).save(data, format="PNG")
    return base64.b64encode(data.getvalue()).decode("ascii")


def _taken_groups(said: Said) -> Iterator[int]:
    """Yield numbers of groups that no region of an answer has."""
    taken = {(each.attrs or {}).get("group_id") for each in said.regions}
    number = 1
    while True:
        if str(number) not in taken:
            yield number
        number += 1


def _is_circle(region: Region) -> bool:
    return region.w == region.h


def _writes(region: Region, _options: LabelMeWriting) -> bool:
    is_empty = region.kind == "mask" and not mask_bounds(region)[2]
    return region.kind in KINDS and region.label is not None and not is_empty


LABELME_WRITER = Writer(LabelMeWriting, ("regions",), lost_in_labelme, write_labelme, writes=_writes)
