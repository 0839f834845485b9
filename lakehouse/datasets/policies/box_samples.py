"""What the boxes of pictures are in samples: columns whose length differs from row to row."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lakehouse.datasets.policies.columns import labels_of, names_of, npy_field, one_each
from loaders.format.fields import Field, Geometry

PX = "continuous px of the stored picture (no EXIF rotation), from 0 at its top-left corner"
FORMS = {"xyxy": "x_min, y_min, x_max, y_max", "xywh": "x_min, y_min, width, height"}

SAMPLE_NAMES = names_of("box", "boxes")


def boxes_field(form: str, *, objects: str = "boxes") -> Field:
    """Return the field `boxes`, float32 (num boxes, 4).

    Args:
        form: `xyxy` or `xywh`.
        objects: As `Field.objects`.
    """
    return Field(
        "boxes", pa.binary(), codec="npy", shape=(None, 4), dtype="float32",
        doc=f"{FORMS[form]} of each box: {PX}; no box: nothing is there.",
        geometry=Geometry(form, of="image"), objects=objects,
    )  # fmt: skip


def box_samples(
    members: pa.Table, classes: Sequence[str], *, form: str = "xyxy"
) -> Iterator[tuple[Field, pa.Array]]:
    """Yield the columns of boxes: `boxes` float32 (num boxes, 4), `box_labels` int64 (num boxes,), and what is stated.

    Args:
        members: Members with `answer_json`, as `lakehouse.datasets.policies.boxes` decides it.
        classes: Labels by their numbers.
        form: `xyxy` or `xywh`.
    """
    answers: list[list[dict[str, Any]]] = [json.loads(text) for text in members["answer_json"].to_pylist()]
    field = boxes_field(form)
    yield npy_field(field, answers, corners if form == "xyxy" else sides)
    yield labels_of("box", answers, classes, objects=field.objects)
    yield from one_each("box", answers, objects=field.objects)


def sides(boxes: Sequence[Mapping[str, Any]]) -> npt.NDArray[np.float64]:
    """Return x_min, y_min, width, height of boxes: float64 (num boxes, 4), px."""
    return np.array([(box["x"], box["y"], box["w"], box["h"]) for box in boxes], dtype=np.float64).reshape(-1, 4)


def corners(boxes: Sequence[Mapping[str, Any]]) -> npt.NDArray[np.float64]:
    """Return x_min, y_min, x_max, y_max of boxes: float64 (num boxes, 4), px."""
    found = sides(boxes)
    found[:, 2:] += found[:, :2]
    return found
