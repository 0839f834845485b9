"""Columns of what lies in a picture, as they are stored, moved with pictures that are encoded anew."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from loaders.axes import Array, Octets
from loaders.decoding.groups import group_name, settled
from loaders.decoding.limits import MAX_PIXELS
from loaders.decoding.masks import MAX_MASK_BYTES, read_runs
from loaders.decoding.placement import Placement
from loaders.decoding.values import decode_blob, python_values
from loaders.errors import DecodeError
from loaders.format.fields import Field

PackMask = Callable[[Octets], str]
"""From a mask, uint8 (H, W), to COCO's compressed counts."""


def moved_fields(fields: Sequence[Field], picture: str) -> tuple[Field, ...]:
    """Return the columns that are moved with a picture, or lose the objects that leave it."""
    groups = _groups(fields, picture)
    counts = {name for field in fields if field.geometry for name in (field.geometry.sizes, field.geometry.parts)}
    return tuple(field for field in fields if group_name(field) in groups or field.name in counts)


def move_columns(
    columns: Mapping[str, pa.Array], fields: Sequence[Field], picture: str, placements: Sequence[Placement], *,
    min_visible: float, pack: PackMask, max_pixels: int = MAX_PIXELS,
) -> tuple[dict[str, pa.Array], list[int]]:  # fmt: skip
    """Move the columns of some rows.

    Args:
        columns: {field: values} of `fields`.
        fields: From `moved_fields`.
        picture: Field of the picture in which they lie.
        placements: What becomes of the picture of each row.
        min_visible: Share of its area that must be left of an object.
        pack: Writes a mask.
        max_pixels: Masks of larger frames are refused.

    Returns:
        {field: values}, and how many objects left the picture of each row.

    Raises:
        DecodeError: If a value is not what its field states, or masks are not of the picture's size; a note says in
            which row.
    """
    lists = {field.name: _values(columns[field.name], field, max_pixels) for field in fields}
    left = [0] * len(placements)
    for row, placement in enumerate(placements):
        try:
            for name in _groups(fields, picture):
                members = [field for field in fields if group_name(field) == name]
                shapes = tuple(field for field in members if field.geometry is not None)
                counts = {field.geometry.parts for field in shapes if field.geometry is not None}
                entries = tuple(field for field in members if field.geometry is None and field.name not in counts)
                _check_masks(shapes, lists, row, placement)
                before, after = settled(name, shapes, entries, row, lists, placement, min_visible)
                left[row] += before - after
        except DecodeError as error:
            error.add_note(f"row {row}")
            raise
    return {field.name: _column(lists[field.name], field, pack) for field in fields}, left


def _groups(fields: Sequence[Field], picture: str) -> list[str]:
    shapes = [field for field in fields if field.geometry is not None and field.geometry.of == picture]
    return list(dict.fromkeys(str(group_name(field)) for field in shapes))


def _values(column: pa.Array, field: Field, max_pixels: int) -> list[Any]:
    if field.codec == "coco_rle":
        return [read_runs(raw, max_pixels=max_pixels) for raw in column.to_pylist()]
    if field.codec == "raw":
        return python_values(column, field)
    return [decode_blob(memoryview(raw), field, max_pixels=max_pixels) for raw in column.to_pylist()]


def _check_masks(shapes: Sequence[Field], lists: Mapping[str, list[Any]], row: int, placement: Placement) -> None:
    height, width = placement.canvas
    for field in shapes:
        count = len(lists[field.name][row].counts) if field.codec == "coco_rle" else 0
        if count * height * width > MAX_MASK_BYTES:
            told = f"{count:,} masks of {height:,} x {width:,} pixels"
            raise DecodeError(f"{told} take more than {MAX_MASK_BYTES:,} bytes")


def _column(values: list[Any], field: Field, pack: PackMask) -> pa.Array:
    if field.codec == "coco_rle":
        return pa.array([_packed(masks, pack) for masks in values], field.type)
    if field.codec == "npy":
        return pa.array([_npy(value) for value in values], field.type)
    return pa.array([each.tolist() if isinstance(each, np.ndarray) else each for each in values], field.type)


def _packed(masks: Octets, pack: PackMask) -> bytes:
    stored = {"size": list(masks.shape[1:]), "counts": [pack(mask) for mask in masks]}
    return json.dumps(stored, separators=(",", ":")).encode()


def _npy(values: Array) -> bytes:
    out = io.BytesIO()
    np.save(out, values, allow_pickle=False)
    return out.getvalue()
