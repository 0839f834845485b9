"""Where the bytes of the members of a dataset version come from: entities, crops, clips or variants of them."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.derived.identity import CLIP, CROP, VARIANT
from lakehouse.derived.places import derived_place
from lakehouse.derived.video import clip_bytes, frame_bytes

MADE = pa.array([CROP, VARIANT, CLIP])
"""Operations that make a sample of an entity; their parameters have its `width` and `height`, px."""


def are_derived(members: pa.Table) -> pa.ChunkedArray:
    """Return of each member whether it is made of an entity, and none itself; bool.

    Args:
        members: As `lakehouse.datasets.versions.find.read_members` gives them.
    """
    return pc.is_in(members["operation"], value_set=MADE)


def are_variants(members: pa.Table) -> pa.ChunkedArray:
    """Return of each member whether it is a variant of another; bool."""
    return pc.equal(members["operation"], VARIANT).fill_null(False)


def are_clips(members: pa.Table) -> bool:
    """Return whether members are clips of videos; all are, or none."""
    return bool(members.num_rows > 0 and pc.all(pc.equal(members["operation"], CLIP).fill_null(False)).as_py())


def member_places(members: pa.Table) -> pa.ChunkedArray:
    """Return the place of the bytes of each member, as `lakehouse.derived.reading.read_derived` takes it."""
    made = are_derived(members)
    if not pc.any(made).as_py():
        return members["place"]
    columns = (made, members["place"], members["operation"], members["parameters_json"])
    rows = zip(*(each.to_pylist() for each in columns), strict=True)
    return pa.chunked_array([
        pa.array([derived_place(place, how, json.loads(told)) if is_made else place
                  for is_made, place, how, told in rows], pa.string())
    ])  # fmt: skip


def member_bytes(members: pa.Table) -> pa.ChunkedArray:
    """Return how many bytes each member takes, of a picture that is made of one about how many; int64."""
    columns = (are_derived(members), members["size_bytes"], members["parameters_json"])
    rows = zip(*(each.to_pylist() for each in columns), strict=True)
    found = [_size(json.loads(told)) if is_made else size for is_made, size, told in rows]
    return pa.chunked_array([pa.array(found, pa.int64())])


def derived_sizes(members: pa.Table) -> set[tuple[int, int]]:
    """Return the different (height, width) of samples that are made of entities, px."""
    return {(each["height"], each["width"]) for each in _parameters(members.filter(are_derived(members)))}


def clip_shape(members: pa.Table) -> tuple[int | None, int | None, int | None, int]:
    """Return frames, height, width and channels of clips, None where they differ."""
    told = _parameters(members)
    axes = [{each[name] for each in told} for name in ("length", "height", "width")]
    frames, height, width = (axis.pop() if len(axis) == 1 else None for axis in axes)
    return frames, height, width, 3


def _size(parameters: dict[str, Any]) -> int:
    height, width = int(parameters["height"]), int(parameters["width"])
    if "length" not in parameters:
        return frame_bytes(height, width)
    return clip_bytes((int(parameters["length"]), height, width, 3))


def _parameters(members: pa.Table) -> list[dict[str, Any]]:
    return [json.loads(told) for told in members["parameters_json"].to_pylist()]
