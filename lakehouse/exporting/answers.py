"""Answers of a dataset on their way out: as regions for label formats, as plain columns for tables and samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

import numpy as np
import pyarrow as pa

from lakehouse.errors import ConfigError
from lakehouse.exporting.rows import Row, Selection
from lakehouse.opinions.formats.writer import Said, Subject
from lakehouse.opinions.geometry.regions import COCO_RLE, box_of_region, polygon_fields
from lakehouse.opinions.reading.answer import Answer, Region
from schemas.canonical import text_json

SHAPES = ("boxes", "polygons", "masks", "keypoints")
"""Kinds of answers that are objects in a picture, each in one place."""

STATED = ("score", "iscrowd", "area")

_NUMBER, _NUMBERS = pa.float64(), pa.list_(pa.float64())
_OBJECTS = {
    "bbox": pa.list_(_NUMBERS), "category": pa.list_(pa.int64()), "label": pa.list_(pa.string()), "area": _NUMBERS,
    "iscrowd": pa.list_(pa.bool_()), "difficult": pa.list_(pa.bool_()), "score": _NUMBERS,
}  # fmt: skip
_MORE: Mapping[str, Mapping[str, pa.DataType]] = {
    "boxes": {},
    "polygons": {"segmentation": pa.list_(pa.list_(_NUMBERS))},
    "masks": {"segmentation": pa.list_(pa.string()), "size": pa.list_(pa.list_(pa.int64()))},
    "keypoints": {"keypoints": pa.list_(_NUMBERS)},
}
_PLAIN: Mapping[str, pa.DataType] = {"text": pa.string(), "number": _NUMBER, "bool": pa.bool_()}


def check_shapes(selection: Selection, format: str, holds: Mapping[str, str] | tuple[str, ...]) -> None:
    """Refuse a selection whose answers a format of objects in pictures does not hold.

    Raises:
        ConfigError: If they are none of `holds`.
    """
    if selection.kind in holds:
        return
    if selection.kind:
        has = f"answers of kind {selection.kind}"
    else:
        has = "labels of whole entities" if "label" in selection.roles else "no answers"
    others = " or coco" if selection.kind in SHAPES and format != "coco" else ""
    raise ConfigError(
        f"{format} holds datasets of {', '.join(holds)}, and this selection has {has}; export imagefolder, csv or hf"
        f"{others}, or a dataset whose question is answered so"
    )


def said_of(selection: Selection, row: Row, subject: Subject | None = None) -> Said:
    """Return the answer of a row as writers of label formats take it; `subject` knows the picture's size."""
    answer = Answer("dataset:export", "", row.entity_id, tuple(regions_of(selection.kind, row.answer)), "regions")
    return Said(answer, subject or Subject(row.entity_id, row.entity_id, media_type=row.media_type))


def regions_of(kind: str, answer: Any) -> Iterator[Region]:
    """Yield the objects of an answer of one of `SHAPES`, as its kind decides it (`lakehouse.datasets.policies`)."""
    for each in answer["objects"] if kind == "masks" else answer:
        more = {name: each[name] for name in STATED if name in each}
        if "difficult" in each:
            more["attrs"] = {"difficult": str(int(each["difficult"]))}
        label = each["label"]
        sides = {name: each[name] for name in ("x", "y", "w", "h") if name in each}
        if kind == "boxes":
            yield Region("box", label, **sides, **more)
        elif kind == "polygons":
            drawn = polygon_fields([np.reshape(part, (-1, 2)) for part in each["parts"]])
            yield Region(label=label, **cast("dict[str, Any]", drawn), **more)
        elif kind == "masks":
            height, width = each["size"]
            yield Region("mask", label, mask_encoding=COCO_RLE, mask_counts=each["counts"], mask_h=height,
                         mask_w=width, **more)  # fmt: skip
        else:
            points = tuple({"x": x, "y": y, "v": v} for x, y, v in each["points"])
            yield Region("keypoints", label, points=points, **sides, **more)


def answer_columns(selection: Selection) -> dict[str, pa.DataType]:
    """Return the columns that hold the answers of a selection: name -> Arrow type; {} where it has none.

    `objects` of `SHAPES`: a struct of lists, one entry each for every object: bbox [x, y, w, h] px of the stored
    picture, category (class number), label, area px², iscrowd, difficult, score (null: not stated), and the shape.
    `labels` of label sets, `answer` of texts, numbers and booleans; `answer_json` of all others.
    """
    kind = selection.kind
    if kind in SHAPES:
        return {"objects": pa.struct(list({**_OBJECTS, **_MORE[kind]}.items()))}
    if kind == "labels":
        return {"labels": pa.list_(pa.string())}
    if kind in _PLAIN:
        return {"answer": _PLAIN[kind]}
    return {"answer_json": pa.string()} if kind else {}


def answer_values(selection: Selection, row: Row) -> dict[str, object]:
    """Return the values of `answer_columns`."""
    kind, answer = selection.kind, row.answer
    if not kind:
        return {}
    if kind in SHAPES:
        return {"objects": _objects(selection, answer)}
    if kind == "labels":
        return {"labels": answer}
    if kind in _PLAIN:
        return {"answer": float(cast("float", answer)) if kind == "number" else answer}
    return {"answer_json": text_json(answer)}


def _objects(selection: Selection, answer: Any) -> dict[str, list[object]]:
    kind = selection.kind
    found: dict[str, list[object]] = {name: [] for name in (*_OBJECTS, *_MORE[kind])}
    stated = answer["objects"] if kind == "masks" else answer
    numbers = selection.numbers
    for each, region in zip(stated, regions_of(kind, answer), strict=True):
        found["bbox"].append([float(side) for side in box_of_region(region)])
        found["category"].append(numbers[region.label or ""])
        found["label"].append(region.label)
        for name in (*STATED, "difficult"):
            value = each.get(name)
            found[name].append(float(value) if name in ("area", "score") and value is not None else value)
        if kind == "polygons":
            found["segmentation"].append([[float(axis) for axis in part] for part in each["parts"]])
        elif kind == "masks":
            found["segmentation"].append(each["counts"])
            found["size"].append(each["size"])
        elif kind == "keypoints":
            found["keypoints"].append([float(axis or 0) for point in each["points"] for axis in point])
    return found
