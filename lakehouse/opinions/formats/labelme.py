"""LabelMe: one JSON file per picture, shapes in px from the top-left corner.

https://github.com/wkentaro/labelme. Polygons of one label and one group are parts of one object, as LabelMe's own
exporters take them; a circle is its centre and a point of its edge.
"""

from __future__ import annotations

import base64
import binascii
import io
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lakehouse.errors import ConfigError, IngestError, RejectedInputError
from lakehouse.opinions.formats.common import SIDECARS, CommonOptions, reject
from lakehouse.opinions.formats.format import Format
from lakehouse.opinions.formats.labelme_write import LABELME_WRITER
from lakehouse.opinions.geometry import rle
from lakehouse.opinions.geometry.polygon import box_of
from lakehouse.opinions.geometry.raster import Points
from lakehouse.opinions.geometry.regions import mask_fields, parts_of, polygon_fields
from lakehouse.opinions.reading import values as parse
from lakehouse.opinions.reading.answer import Frame, Item, Region
from lakehouse.opinions.reading.json_fields import (
    Object,
    as_list,
    as_number,
    as_object,
    as_text,
    list_in,
    objects_in,
    read_json,
    size_in,
    text_in,
)

SUBJECTS = ("imagePath", "file")
_KEYS = re.compile(rb'"shapes"\s*:')
_PICTURE = re.compile(rb'"(imagePath|imageData|flags|version)"\s*:')

Fields = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelMeOptions(CommonOptions):
    """Options of LabelMe.

    Attributes:
        subject: imagePath: what the file says of its picture; file: the JSON's own name without .json.
        flags: Question that flags of the whole picture answer (as `labels`); "" is `question.flags`.
    """

    subject: str = "imagePath"
    flags: str = ""

    def __post_init__(self) -> None:
        if self.subject not in SUBJECTS:
            raise ConfigError(f"labelme: subject must be one of {', '.join(SUBJECTS)}, found {self.subject!r}")


def labelme_files(path: Path) -> list[str]:
    """Return the JSON files of a folder (recursive, by name) relative to it; of one file [""].

    Raises:
        IngestError: If there is none.
    """
    if path.is_file():
        return [""]
    names = (each.relative_to(path) for each in path.rglob("*") if each.suffix.lower() == ".json" and each.is_file())
    shown = (name for name in names if not any(part.startswith(".") for part in name.parts))
    files = sorted(name.as_posix() for name in shown if name.name not in SIDECARS)
    if not files:
        raise IngestError(f"{path}: no .json file there; give the folder of the annotations")
    return files


def read_labelme(path: Path, part: str, options: LabelMeOptions) -> Iterator[Item]:
    """Give the answer (or reject) of one file, and one for the flags of its picture where it has any."""
    file, where = path / part if part else path, part or path.name
    try:
        record = as_object(read_json(file), "a file of LabelMe")
        if "shapes" not in record:
            raise RejectedInputError("not_labelme", "has no `shapes`")
        frame = Frame(size_in(record, "imageWidth"), size_in(record, "imageHeight"))
        regions = _with_parts([_region(shape, frame) for shape in objects_in(record, "shapes")])
        subject = file.stem if options.subject == "file" else text_in(record, "imagePath")
        if not subject:
            raise RejectedInputError("no_filename", 'names no picture; set subject = "file" to use the JSON\'s name')
        stated = as_object(record.get("flags") or {}, "flags")
        flags = {parse.label_id(name): value is True for name, value in stated.items()}
    except RejectedInputError as error:
        yield reject(where, error.rule, error.reason)
        return
    folders = tuple(filter(None, (Path(part).parent.as_posix().strip("."),)))
    yield options.answer(subject, tuple(regions), frame=frame, folders=folders, where=where)
    if flags:
        names = tuple(sorted(name for name, is_set in flags.items() if is_set))
        question = options.flags or f"{options.question}.flags"
        yield options.answer(subject, names, value_kind="labels", question=question, folders=folders, where=where)


def looks_like_labelme(head: bytes) -> bool:
    """Return whether a JSON file begins as LabelMe's does."""
    return _KEYS.search(head) is not None and _PICTURE.search(head) is not None


def _region(shape: Object, frame: Frame) -> Region:
    kind = text_in(shape, "shape_type") or "polygon"
    if kind not in _FIELDS:
        raise RejectedInputError("unknown_shape", f"has a shape of type {kind!a:.40}, which is not read")
    group = shape.get("group_id")
    attrs = {}
    if description := text_in(shape, "description"):
        attrs["description"] = description
    for name, value in as_object(shape.get("flags") or {}, "flags").items():
        attrs[f"flag.{name}"] = "true" if value is True else "false"
    if group is not None:
        attrs["group_id"] = str(group)
    return Region(
        label=parse.label_id(as_text(shape.get("label"), "label")),
        score=None if shape.get("score") is None else as_number(shape["score"], "score"),
        attrs=attrs or None,
        **_FIELDS[kind](shape, _points(shape), frame),
    )


def _with_parts(regions: Sequence[Region]) -> list[Region]:
    """Join polygons of one label, group and description into one region of several parts."""
    joined: dict[object, list[Region]] = {}
    for place, each in enumerate(regions):
        is_part = each.kind == "polygon" and "group_id" in (each.attrs or {})
        key = (each.label, tuple(sorted((each.attrs or {}).items()))) if is_part else place
        joined.setdefault(key, []).append(each)
    return [each[0] if len(each) == 1 else _one_object(each) for each in joined.values()]


def _one_object(regions: Sequence[Region]) -> Region:
    fields: Fields = dict(polygon_fields([part for each in regions for part in parts_of(each)]))
    return Region(label=regions[0].label, attrs=regions[0].attrs, **fields)


def _points(shape: Object) -> Points:
    pairs = [as_list(each, "point") for each in list_in(shape, "points")]
    if not pairs or any(len(pair) != 2 for pair in pairs):
        raise RejectedInputError("bad_polygon", "has a shape whose points are no pairs")
    return np.array([[as_number(each, "point") for each in pair] for pair in pairs], np.float64)


def _several(points: Points, count: int, kind: str) -> Points:
    if len(points) != count:
        raise RejectedInputError("bad_shape", f"has a {kind} of {len(points)} points, expected {count}")
    return points


def _rectangle(_shape: Object, points: Points, _frame: Frame) -> Fields:
    (x0, y0), (x1, y1) = _several(points, 2, "rectangle").tolist()
    # Corners come in any order.
    return {"kind": "box", "x": min(x0, x1), "y": min(y0, y1), "w": abs(x1 - x0), "h": abs(y1 - y0)}


def _turned(_shape: Object, points: Points, _frame: Frame) -> Fields:
    x, y, w, h, angle = box_of(_several(points, 4, "oriented rectangle"))
    return {"kind": "box", "x": x, "y": y, "w": w, "h": h, "angle": angle or None}


def _circle(_shape: Object, points: Points, _frame: Frame) -> Fields:
    (cx, cy), (ex, ey) = _several(points, 2, "circle").tolist()
    radius = math.hypot(ex - cx, ey - cy)
    return {"kind": "ellipse", "x": cx - radius, "y": cy - radius, "w": 2 * radius, "h": 2 * radius}


def _polygon(_shape: Object, points: Points, _frame: Frame) -> Fields:
    return dict(polygon_fields([points]))


def _line(_shape: Object, points: Points, _frame: Frame) -> Fields:
    return dict(polygon_fields([points], closed=False))


def _point(_shape: Object, points: Points, _frame: Frame) -> Fields:
    if len(points) > 1:
        bounds: Fields = {key: value for key, value in polygon_fields([points]).items() if key in ("x", "y", "w", "h")}
        return {"kind": "keypoints", "points": tuple({"x": x, "y": y, "v": 2} for x, y in points.tolist()), **bounds}
    x, y = points[0].tolist()
    return {"kind": "point", "points": ({"x": x, "y": y},), "x": x, "y": y, "w": 0.0, "h": 0.0}


def _mask(shape: Object, points: Points, frame: Frame) -> Fields:
    from PIL import Image

    if frame.width is None or frame.height is None:
        raise RejectedInputError("no_frame_size", "has a mask in a picture whose size it does not state")
    (x0, y0), _ = _several(points, 2, "mask").tolist()
    try:
        data = base64.b64decode(as_text(shape.get("mask"), "mask"), validate=True)
        with Image.open(io.BytesIO(data), formats=("PNG",)) as picture:
            if picture.width * picture.height > frame.width * frame.height:
                raise RejectedInputError("bad_mask", "has a mask that is larger than its picture")
            inside = np.asarray(picture.convert("L")) > 0
    except (binascii.Error, ValueError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        if isinstance(error, RejectedInputError):
            raise
        raise RejectedInputError("bad_mask", "has a mask that is no PNG in base64") from error
    if frame.width * frame.height > rle.MAX_PIXELS:
        raise RejectedInputError("bad_mask", f"has a mask in a picture of more than {rle.MAX_PIXELS:,} pixels")
    left, top = int(x0), int(y0)
    height, width = inside.shape
    if left < 0 or top < 0 or left + width > frame.width or top + height > frame.height:
        raise RejectedInputError("bad_mask", "has a mask that reaches beyond its picture")
    runs = rle.encode_inside(inside, left, top, frame.height, frame.width)
    return dict(mask_fields(runs, frame.height, frame.width))


_FIELDS: Mapping[str, Callable[[Object, Points, Frame], Fields]] = {
    "polygon": _polygon, "rectangle": _rectangle, "oriented_rectangle": _turned, "circle": _circle, "line": _line,
    "linestrip": _line, "point": _point, "points": _point, "mask": _mask,
}  # fmt: skip

LABELME = Format(
    LabelMeOptions,
    labelme_files,
    read_labelme,
    "regions",
    endings=(".json",),
    sniff=looks_like_labelme,
    one_each=True,
    writer=LABELME_WRITER,
)
