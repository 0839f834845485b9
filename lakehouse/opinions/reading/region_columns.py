"""Regions as columns of Arrow and back: a polygon is some dozens of points, and files hold them by the million."""

from __future__ import annotations

import contextlib
from array import array
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, repeat
from operator import itemgetter, methodcaller
from typing import Any

import numpy as np
import pyarrow as pa

from lakehouse.opinions.reading.answer import REGION_FIELDS, Region, region_values
from schemas.opinions import POINT, REGION

REGIONS = pa.list_(REGION)
Regions = tuple[Region, ...]
Point = Mapping[str, float | int | None]

_HAS_V = methodcaller("__contains__", "v")


def region_column(answers: Sequence[Regions | None]) -> pa.Array:
    """Return the regions of each answer: list<REGION>, shape (answers,); None stays NULL.

    A point's axis that is stated as null and one that is not stated become the same.

    Raises:
        ArrowInvalid, ArrowTypeError: If a value does not fit its column.
    """
    flat = list(chain.from_iterable(each for each in answers if each is not None))
    values = zip(*map(region_values, flat), strict=True) if flat else repeat((), len(REGION_FIELDS))
    stated = dict(zip(REGION_FIELDS, values, strict=True))
    children = [
        _point_column(stated[field.name]) if field.name == "points" else pa.array(stated[field.name], field.type)
        for field in REGION
    ]
    return _lists(REGIONS, answers, pa.StructArray.from_arrays(children, fields=list(REGION)))


def regions_of(column: pa.Array) -> list[Regions | None]:
    """Return the regions of each answer of a column of list<REGION>; what is NULL is not stated."""
    stated = dict(zip((field.name for field in REGION), column.flatten().flatten(), strict=True))
    regions = map(Region, *(_field(name, stated[name]) for name in REGION_FIELDS))
    lengths = column.value_lengths().to_pylist()
    return [None if length is None else tuple(next(regions) for _ in range(length)) for length in lengths]


def _point_column(regions: Sequence[Sequence[Point] | None]) -> pa.Array:
    flat = list(chain.from_iterable(each for each in regions if each is not None))
    axes = [_axis(flat, field) for field in POINT]
    return _lists(pa.list_(POINT), regions, pa.StructArray.from_arrays(axes, fields=list(POINT)))


def _axis(points: Sequence[Point], field: pa.Field) -> pa.Array:
    if field.name == "v" and not any(map(_HAS_V, points)):
        return pa.nulls(len(points), field.type)
    if pa.types.is_floating(field.type):
        # As nearly all points are: stated by every one of them, and at the speed of C.
        with contextlib.suppress(KeyError, TypeError, OverflowError):
            return pa.array(np.array(array("d", map(itemgetter(field.name), points))), field.type)
    return pa.array([point.get(field.name) for point in points], field.type)


def _lists(kind: pa.DataType, lists: Sequence[Sequence[object] | None], elements: pa.Array) -> pa.Array:
    ends = np.cumsum([0, *(0 if each is None else len(each) for each in lists)], dtype=np.int32)
    # A list begins at NULL where there is none; the last offset is an end alone.
    none = np.array([*(each is None for each in lists), False])
    return pa.ListArray.from_arrays(pa.array(ends, mask=none), elements, type=kind)


def _field(name: str, values: pa.Array) -> Iterable[Any]:
    if values.null_count == len(values):
        return [None] * len(values)
    if name == "points":
        return _points(values)
    if name == "part_sizes":
        return [None if each is None else tuple(each) for each in values.to_pylist()]
    if name == "attrs":
        return [None if each is None else dict(each) for each in values.to_pylist()]
    return _plain(values)


def _points(column: pa.Array) -> list[tuple[Point, ...] | None]:
    x, y, v = column.flatten().flatten()
    if x.null_count or y.null_count or 0 < v.null_count < len(v):
        every = zip(_plain(x), _plain(y), _plain(v), strict=True)
        points: list[Point] = [
            {axis: number for axis, number in zip("xyv", each, strict=True) if number is not None} for each in every
        ]
    elif v.null_count == len(v):
        points = [{"x": a, "y": b} for a, b in zip(_plain(x), _plain(y), strict=True)]
    else:
        points = [{"x": a, "y": b, "v": c} for a, b, c in zip(_plain(x), _plain(y), _plain(v), strict=True)]
    found, start = [], 0
    for length in column.value_lengths().to_pylist():
        found.append(None if length is None else tuple(points[start : start + length]))
        start += length or 0
    return found


def _plain(values: pa.Array) -> list[Any]:
    # NumPy's list is made ten times as fast, and knows no null.
    is_number = pa.types.is_floating(values.type) or pa.types.is_integer(values.type)
    whole = is_number and not values.null_count
    found: list[Any] = values.to_numpy(zero_copy_only=False).tolist() if whole else values.to_pylist()
    return found
