"""Masks: whose answer holds, as run lengths over the whole frame of one picture."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from lakehouse.datasets.policies.box_samples import PX
from lakehouse.datasets.policies.boxes import stated_of
from lakehouse.datasets.policies.columns import labels_of, names_of, one_each
from lakehouse.datasets.policies.kind import AnswerKind, Decision, because_of
from lakehouse.datasets.policies.mask_scores import MEASURES, score_masks, weigh_masks
from lakehouse.datasets.policies.newest import NEWEST, SAID, newest_sql, unsettled
from lakehouse.datasets.policies.settings import Label
from lakehouse.errors import RejectedInputError
from lakehouse.opinions.geometry import rle
from lakehouse.opinions.geometry.raster import runs_of
from loaders.format.fields import Field, Geometry


def decide(row: Mapping[str, Any], settings: Label) -> Decision:
    """Return the masks of one picture, or why they are no answer.

    Polygons are drawn by COCO's rule where the size of the frame is known: from the answer, or from a mask in it.
    """
    nobodys = unsettled(row, settings)
    if nobodys is not None:
        return nobodys
    size = size_of(row["regions"]) or _frame(row)
    objects = []
    for place, region in enumerate(row["regions"], start=1):
        if region["label"] is None:
            return Decision(reason="no_mask_label", detail=f"region {place} has no label")
        try:
            objects.append(mask_of(region, size))
        except RejectedInputError as error:
            return Decision(reason="not_masks", detail=f"region {place} ({region['kind']}): {error.reason}")
    return Decision(answer={"size": size, "objects": objects})


def size_of(regions: Sequence[Mapping[str, Any]]) -> list[int] | None:
    """Return height and width of the first mask among regions, px; None if there is none."""
    masks = (region for region in regions if region["kind"] == "mask" and region["mask_h"] and region["mask_w"])
    return next(([each["mask_h"], each["mask_w"]] for each in masks), None)


def mask_of(region: Mapping[str, Any], size: Sequence[int] | None) -> dict[str, Any]:
    """Return label, counts (COCO's compressed text), size, area and what else a region states.

    Args:
        region: A mask, or a polygon to be drawn.
        size: Height and width of the frame, px; None: nobody stated it.

    Raises:
        RejectedInputError: If it is no mask of this frame.
    """
    if region["kind"] not in ("mask", "polygon"):
        raise RejectedInputError("no_mask", "means no mask")
    if size is None:
        raise RejectedInputError("no_frame", "nobody stated the size of its frame, so it cannot be drawn")
    height, width = size
    if region["kind"] == "polygon":
        counts = rle.compress(runs_of([np.reshape(part, (-1, 2)) for part in parts_of(region)], height, width))
    elif region["mask_encoding"] != "coco_rle" or region["mask_counts"] is None:
        raise RejectedInputError("bad_mask", f"is encoded as {region['mask_encoding']}, expected coco_rle")
    else:
        counts = region["mask_counts"]
    runs = rle.checked_runs(rle.decompress(counts), height, width)
    return {
        "label": region["label"], "counts": counts, "size": [height, width], "area": rle.area(runs), **stated_of(region)
    }  # fmt: skip


def parts_of(region: Mapping[str, Any]) -> list[list[float]]:
    """Return the parts of a polygon, each x, y, x, y ... in px.

    Raises:
        RejectedInputError: If its parts do not have as many points as it.
    """
    flat = [(point["x"], point["y"]) for point in region["points"] or ()]
    sizes = [len(flat)] if region["part_sizes"] is None else list(region["part_sizes"])
    if sum(sizes) != len(flat) or min(sizes, default=0) < 0:
        raise RejectedInputError("bad_polygon", f"its parts have {sum(sizes)} points, it has {len(flat)}")
    ends = np.cumsum(sizes).tolist()
    return [[axis for point in flat[end - size : end] for axis in point] for size, end in zip(sizes, ends, strict=True)]


def _frame(row: Mapping[str, Any]) -> list[int] | None:
    return None if row["frame_h"] is None or row["frame_w"] is None else [row["frame_h"], row["frame_w"]]


def read(regions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the masks of one opinion; a region that is none states no `counts`."""
    size, objects = size_of(regions), []
    for region in regions:
        try:
            objects.append(mask_of(region, size))
        except RejectedInputError:
            objects.append({"label": region["label"], "kind": region["kind"]})
    return {"size": size, "objects": objects}


def samples(members: pa.Table, classes: Sequence[str]) -> Iterator[tuple[Field, pa.Array]]:
    """Yield `masks`, read as uint8 (n, H, W), `mask_labels` int64 (n,), and what is stated.

    A picture without a mask whose frame nobody stated has (0, 1, 1).
    """
    whole = [json.loads(text) for text in members["answer_json"].to_pylist()]
    answers: list[list[dict[str, Any]]] = [each["objects"] for each in whole]
    field = Field(
        "masks", pa.binary(), codec="coco_rle", shape=(None, None, None),
        doc=f"1 where each object is, else 0: {PX}; no mask: nothing is there.",
        geometry=Geometry("masks", of="image"), objects="masks",
    )  # fmt: skip
    stored = [
        {"size": each["size"] or [1, 1], "counts": [mask["counts"] for mask in each["objects"]]} for each in whole
    ]
    yield field, pa.array([json.dumps(each, separators=(",", ":")).encode() for each in stored], pa.binary())
    yield labels_of("mask", answers, classes, objects="masks")
    yield from one_each("mask", answers, objects="masks")


MASKS = AnswerKind(
    value_kind="regions",
    task="masks",
    shapes=("mask",),
    policies=NEWEST,
    version=1,
    hears=("event_time", "labels", "regions", "frame_w", "frame_h"),
    tally=newest_sql("regions", "frame_w", "frame_h", labelled=True),
    decide=decide,
    because=because_of("masks"),
    classes=SAID,
    has_cell=True,
    samples=samples,
    sample_names=names_of("mask", "masks"),
    read=read,
    score=score_masks,
    weigh=weigh_masks,
    measures=MEASURES,
)
