"""Objects in a picture as columns have them: values that are moved together, and leave the picture together.

An object is dropped from all columns of its group if any of its boxes, polygons and masks keeps less than
`min_visible` of its area, or nothing of it; of objects that have points alone, their labelled points count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from loaders.axes import Array
from loaders.decoding import moving
from loaders.decoding.placement import Placement
from loaders.errors import DecodeError
from loaders.format.fields import Field


def group_name(field: Field) -> str | None:
    """Return the group of a column, None of one that has nothing to do with objects."""
    return field.objects or (field.name if field.geometry is not None else None)


def settled(
    name: str, shapes: Sequence[Field], entries: Sequence[Field], row: int, lists: Mapping[str, list[Any]],
    placement: Placement | None, min_visible: float,
) -> tuple[int, int]:  # fmt: skip
    """Move the objects of one row, and drop what is not seen, in place.

    Args:
        name: Of the group, for messages.
        shapes: Its columns with geometry.
        entries: Its others, without the counts of polygons.
        row: Which.
        lists: {column: value of each row}: arrays, `Runs` of masks that are moved, lists of Python values.
        placement: What became of the picture; None: nothing.
        min_visible: Share of its area that must be left of an object.

    Returns:
        How many objects there were, and are.

    Raises:
        DecodeError: If columns have different numbers of entries, or masks are not of the picture's size.
    """
    moved: dict[str, Any] = {}
    counts: dict[str, int] = {}
    keep: Array | None = None
    deciding = [field.name for field in shapes if _has_area(field)] or [field.name for field in shapes]
    for field in shapes:
        value, shares, counts[field.name] = _moved(field, row, lists, placement)
        moved[field.name] = value
        if shares is not None and field.name in deciding:
            seen = (shares > 0) & (shares >= min_visible)
            if keep is not None and len(keep) != len(seen):
                break
            keep = seen if keep is None else keep & seen
    for field in entries:
        if lists[field.name][row] is not None:
            counts[field.name] = len(lists[field.name][row])
    if len({*counts.values()}) > 1:
        told = ", ".join(f"{column} {count}" for column, count in counts.items())
        raise DecodeError(f"columns of the objects {name!r} have different numbers of entries: {told}")
    total = next(iter(counts.values()), 0)
    if placement is None or keep is None:
        return total, total
    is_whole = bool(keep.all())
    for field in shapes:
        _put(field, moved[field.name], None if is_whole else keep, row, lists)
    if not is_whole:
        for field in entries:
            lists[field.name][row] = _chosen(lists[field.name][row], keep)
    return total, int(np.count_nonzero(keep))


def _moved(
    field: Field, row: int, lists: Mapping[str, list[Any]], placement: Placement | None
) -> tuple[Any, Array | None, int]:
    """Return the moved value of a column, the share of each object that is seen, and how many there are."""
    geometry, value = field.geometry, lists[field.name][row]
    assert geometry is not None
    if geometry.kind == "polygons":
        sizes, parts = (np.asarray(lists[str(each)][row]) for each in (geometry.sizes, geometry.parts))
        outlines = moving.Polygons(value, sizes, parts)
        if placement is None:
            return outlines, None, len(parts)
        outlines, shares = moving.polygons(outlines, placement)
        return outlines, shares, len(parts)
    if placement is None:
        return value, None, len(value)
    if geometry.kind == "masks":
        found = moving.masks(value, placement)
    elif geometry.kind == "keypoints":
        found = moving.keypoints(value, placement, geometry.flip_pairs)
    elif geometry.kind == "points":
        found = moving.points(value, placement)
    else:
        found = moving.boxes(value, placement, kind=geometry.kind)
    return found.values, found.shares, len(found.values)


def _put(field: Field, value: Any, keep: Array | None, row: int, lists: Mapping[str, list[Any]]) -> None:
    if isinstance(value, moving.Polygons):
        geometry = field.geometry
        assert geometry is not None
        value = value if keep is None else value.chosen(keep)
        lists[str(geometry.sizes)][row], lists[str(geometry.parts)][row] = value.sizes, value.parts
        value = value.points
    elif keep is not None:
        value = value[keep]
    lists[field.name][row] = value


def _chosen(values: Any, keep: Array) -> Any:
    if values is None or isinstance(values, np.ndarray):
        return None if values is None else values[keep]
    return [value for value, stays in zip(values, keep.tolist(), strict=True) if stays]


def _has_area(field: Field) -> bool:
    return field.geometry is not None and field.geometry.kind not in ("keypoints", "points")
