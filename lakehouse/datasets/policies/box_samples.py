"""What the boxes of pictures are in samples: columns whose length differs from row to row."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from loaders.format.fields import Field, Geometry

BOXES_FIELD = Field(
    "boxes", pa.binary(), codec="npy", shape=(None, 4), dtype="float32",
    doc="x_min, y_min, x_max, y_max of each box: continuous px of the stored picture (no EXIF rotation), from 0 at its "
        "top-left corner; no box: nothing is there.",
    geometry=Geometry("xyxy", of="image"), objects="boxes",
)  # fmt: skip
ONE_EACH = {
    "iscrowd": ("box_iscrowd", pa.bool_(), False, "Whether each box is a crowd; what nobody stated is none."),
    "difficult": ("box_difficult", pa.bool_(), False, "Whether each box is difficult; what nobody stated is not."),
    "score": ("box_scores", pa.float32(), float("nan"), "Score of each box, 0 to 1; NaN: not stated."),
}
"""Key of a box -> field, type, value where it is not stated, meaning; a field is there if any box states it."""

SAMPLE_NAMES = (BOXES_FIELD.name, "box_labels", *(name for name, *_ in ONE_EACH.values()))


def box_samples(members: pa.Table, classes: Sequence[str]) -> Iterator[tuple[Field, pa.Array]]:
    """Yield the columns of boxes: `boxes` float32 (num boxes, 4), `box_labels` int64 (num boxes,), and what is stated.

    Args:
        members: Members with `answer_json`, as `lakehouse.datasets.policies.boxes` decides it.
        classes: Labels by their numbers.
    """
    answers: list[list[dict[str, Any]]] = [json.loads(text) for text in members["answer_json"].to_pylist()]
    numbers = {label: number for number, label in enumerate(classes)}
    yield BOXES_FIELD, pa.array([_npy(corners(boxes)) for boxes in answers], pa.binary())
    labels = [[numbers[box["label"]] for box in boxes] for boxes in answers]
    doc = f"Class number of each box, its ordinal in the label set, from 0; {len(classes)} classes."
    kind = pa.list_(pa.int64())
    field = Field("box_labels", kind, shape=(None,), doc=doc, classes=tuple(classes), objects=BOXES_FIELD.objects)
    yield field, pa.array(labels, field.type)
    for key, (name, kind, missing, doc) in ONE_EACH.items():
        if any(key in box for boxes in answers for box in boxes):
            values = [[box.get(key, missing) for box in boxes] for boxes in answers]
            field = Field(name, pa.list_(kind), shape=(None,), doc=doc, objects=BOXES_FIELD.objects)
            yield field, pa.array(values, field.type)


def corners(boxes: Sequence[Mapping[str, Any]]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Return x_min, y_min, x_max, y_max of boxes: float64 (num boxes, 4), px."""
    found = np.array([(box["x"], box["y"], box["w"], box["h"]) for box in boxes], dtype=np.float64).reshape(-1, 4)
    found[:, 2:] += found[:, :2]
    return found


def _npy(values: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> bytes:
    out = io.BytesIO()
    np.save(out, values.astype(np.float32), allow_pickle=False)
    return out.getvalue()
