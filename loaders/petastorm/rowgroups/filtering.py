"""Conditions as pyarrow writes them, on values of partitions, on what footers say, and on rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from loaders.ordering.bounds import Bounds, bounds_of
from loaders.ordering.filters import Filter, FilterColumn, parse_filter
from loaders.petastorm.rowgroups.partitions import Value

_NANOSECONDS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_UNITS = {"milliseconds": "ms", "microseconds": "us", "nanoseconds": "ns"}


@dataclass(frozen=True, slots=True)
class PlainColumn:
    """A column as it is stored."""

    name: str
    type: pa.DataType
    codec: str = "raw"


def parse_filters(filters: object, schema: pa.Schema, partitions: pa.Schema) -> Filter | None:
    """Check conditions as the user wrote them: (column, operator, value) in a list, or a list of such lists.

    Beside an integer column from names of folders text may stand for its integer, as in Petastorm.

    Raises:
        FormatError: If they have another form, name an unknown column or operator, or compare what cannot be.
    """
    if isinstance(filters, Filter) or filters is None or filters == []:
        return filters or None  # type: ignore[return-value]
    integers = {each.name for each in partitions if pa.types.is_integer(each.type)}
    return parse_filter(_with_integers(filters, integers), [PlainColumn(each.name, each.type) for each in schema])


def partition_bounds(values: Mapping[str, Value], column: FilterColumn) -> Bounds:
    """Return what the names of folders say of a column: its one value, or nothing."""
    if column.name not in values:
        return Bounds(1)
    value = values[column.name]
    return Bounds(1, 1) if value is None else Bounds(1, 0, value, value)


def stored_bounds(chunk: pq.ColumnChunkMetaData, stored: pa.DataType, column: FilterColumn, rows: int) -> Bounds:
    """Return what a footer says of a column.

    Args:
        chunk: pyarrow's metadata of the chunk.
        stored: Its type in the file.
        column: What it is in the folder.
        rows: Rows of the row group.
    """
    statistics = chunk.statistics  # over some damaged footers pyarrow 26 ends the process here; it offers no check
    kinds = {_kind(stored), _kind(column.type)}
    if statistics is None or len(kinds) > 1 or None in kinds:
        return Bounds(rows, statistics.null_count if statistics is not None and statistics.has_null_count else None)
    found = bounds_of(statistics, column, rows)
    if pa.types.is_timestamp(column.type) and found.lower is not None:
        unit = _unit(statistics.logical_type)
        if unit is None:
            return Bounds(rows, found.nulls)
        lower, upper = found.lower * _NANOSECONDS[unit], found.upper * _NANOSECONDS[unit]
        size = _NANOSECONDS[column.type.unit]
        return Bounds(rows, found.nulls, lower // size, -(-upper // size))
    return found


def _kind(kind: pa.DataType) -> str | None:
    """Return what values are compared as; None: footers are not asked."""
    if pa.types.is_boolean(kind):
        return "boolean"
    if pa.types.is_integer(kind):
        return "integer"
    if pa.types.is_float32(kind) or pa.types.is_float64(kind):
        return "floating"
    if pa.types.is_date32(kind):
        return "date"
    if pa.types.is_timestamp(kind):
        return "timestamp"
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return "text"
    return "binary" if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) else None


def _unit(logical_type: pq.ParquetLogicalType) -> str | None:
    """Return the unit in which a timestamp lies in its file."""
    told = json.loads(logical_type.to_json())
    return _UNITS.get(told.get("timeUnit", ""))


def _with_integers(value: object, integers: set[str]) -> object:
    """Return conditions with numbers for text, where the column holds integers."""
    if not isinstance(value, list | tuple):
        return value
    if not value or not isinstance(value[0], str):
        return [_with_integers(each, integers) for each in value]
    if len(value) != 3 or value[0] not in integers:
        return value
    given = value[2]
    if isinstance(given, list | tuple | set | frozenset):
        return (*value[:2], [_integer(each) for each in given])
    return (*value[:2], _integer(given))


def _integer(value: object) -> object:
    is_integer = isinstance(value, str) and value.isascii() and value.lstrip("+-").isdigit()
    return int(str(value)) if is_integer else value
