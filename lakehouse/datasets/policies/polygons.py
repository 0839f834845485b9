"""Polygons: whose answer holds, as outlines of the objects in one picture."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lakehouse.datasets.policies.box_samples import PX
from lakehouse.datasets.policies.boxes import stated_of
from lakehouse.datasets.policies.columns import labels_of, names_of, npy_field, one_each
from lakehouse.datasets.policies.kind import AnswerKind, Decision, because_of
from lakehouse.datasets.policies.mask_scores import MEASURES, score_polygons, weigh_polygons
from lakehouse.datasets.policies.masks import parts_of
from lakehouse.datasets.policies.newest import NEWEST, SAID, newest_sql, unsettled
from lakehouse.datasets.policies.settings import Label
from lakehouse.errors import RejectedInputError
from loaders.format.fields import Field, Geometry

COUNTS = pa.list_(pa.int64())


def decide(row: Mapping[str, Any], settings: Label) -> Decision:
    """Return the polygons of one picture, or why they are no answer."""
    nobodys = unsettled(row, settings)
    if nobodys is not None:
        return nobodys
    found = []
    for place, region in enumerate(row["regions"], start=1):
        if region["label"] is None:
            return Decision(reason="no_polygon_label", detail=f"region {place} has no label")
        try:
            found.append(polygon_of(region))
        except RejectedInputError as error:
            return Decision(reason="not_polygons", detail=f"region {place} ({region['kind']}): {error.reason}")
    return Decision(answer=found)


def polygon_of(region: Mapping[str, Any]) -> dict[str, Any]:
    """Return label, parts (x, y, x, y ... each, px) and what else a region states.

    Raises:
        RejectedInputError: If it is no polygon.
    """
    if region["kind"] != "polygon" or not region["points"]:
        raise RejectedInputError("no_polygon", "is no polygon")
    area = {} if region["area"] is None else {"area": region["area"]}
    return {"label": region["label"], "parts": parts_of(region), **area, **stated_of(region)}


def read(regions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the polygons of one opinion; a region that is none states no `parts`."""
    found = []
    for region in regions:
        try:
            found.append(polygon_of(region))
        except RejectedInputError:
            found.append({"label": region["label"], "kind": region["kind"]})
    return found


def samples(members: pa.Table, classes: Sequence[str]) -> Iterator[tuple[Field, pa.Array]]:
    """Yield `polygons` float32 (total points, 2), `polygon_sizes` int64 (parts,): points of each part,
    `polygon_parts` int64 (n,): parts of each object, `polygon_labels` int64 (n,), and what is stated.
    """
    answers: list[list[dict[str, Any]]] = [json.loads(text) for text in members["answer_json"].to_pylist()]
    field = Field(
        "polygons", pa.binary(), codec="npy", shape=(None, 2), dtype="float32",
        doc=f"x, y of the points of all parts of all objects, one after the other: {PX}; no polygon: nothing is there.",
        geometry=Geometry("polygons", of="image", sizes="polygon_sizes", parts="polygon_parts"), objects="polygons",
    )  # fmt: skip
    yield npy_field(field, answers, _points)
    sizes = [[len(part) // 2 for each in answer for part in each["parts"]] for answer in answers]
    yield Field("polygon_sizes", COUNTS, shape=(None,), doc="Points of each part."), pa.array(sizes, COUNTS)
    parts = [[len(each["parts"]) for each in answer] for answer in answers]
    doc = "Parts of each polygon: an object that others hide in part has several."
    yield Field("polygon_parts", COUNTS, shape=(None,), doc=doc, objects="polygons"), pa.array(parts, COUNTS)
    yield labels_of("polygon", answers, classes, objects="polygons")
    yield from one_each("polygon", answers, objects="polygons")


def _points(objects: Sequence[Mapping[str, Any]]) -> npt.NDArray[np.float64]:
    flat = [axis for each in objects for part in each["parts"] for axis in part]
    return np.array(flat, dtype=np.float64).reshape(-1, 2)


POLYGONS = AnswerKind(
    value_kind="regions",
    task="polygons",
    shapes=("polygon",),
    policies=NEWEST,
    version=1,
    hears=("event_time", "labels", "regions"),
    tally=newest_sql("regions", labelled=True),
    decide=decide,
    because=because_of("polygons"),
    classes=SAID,
    has_cell=True,
    samples=samples,
    sample_names=names_of("polygon", "polygons", "polygon_sizes", "polygon_parts"),
    read=read,
    score=score_polygons,
    weigh=weigh_polygons,
    measures=MEASURES,
)
