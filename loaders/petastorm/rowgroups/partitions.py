"""Columns whose values are in the names of folders: `year=2024/city=Oslo/part-0.parquet`."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from urllib.parse import unquote

import pyarrow as pa

from loaders.errors import FormatError

Value = str | int | None

_NULL = "__HIVE_DEFAULT_PARTITION__"
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")


def partitions_of(names: Sequence[str], root: str) -> tuple[pa.Schema, dict[str, Mapping[str, Value]]]:
    """Return the columns that the names of folders make, and their values for each file.

    A column is int64 if all of its values are integers, else text; the null of Hive is a null.

    Raises:
        FormatError: If two files lie in folders of different columns.
    """
    texts = {name: _texts(name) for name in names}
    first = next(iter(texts.values()), {})
    for name, found in texts.items():
        if list(found) != list(first):
            raise FormatError(
                f"{root}: {names[0]} lies in folders of the columns {list(first)}, {name} in those of {list(found)}; "
                "a dataset has one layout"
            )
    types = {column: _type([found[column] for found in texts.values()]) for column in first}
    values: dict[str, Mapping[str, Value]] = {
        name: MappingProxyType({column: _value(text, types[column]) for column, text in found.items()})
        for name, found in texts.items()
    }
    return pa.schema(list(types.items())), values


def _texts(name: str) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for step in posixpath.dirname(name).split("/"):
        column, is_partition, value = step.partition("=")
        if not is_partition or not column:
            continue
        if unquote(column) in found:
            raise FormatError(f"{name}: two folders name the column {unquote(column)!r}")
        found[unquote(column)] = None if value == _NULL else unquote(value)
    return found


def _type(texts: Sequence[str | None]) -> pa.DataType:
    known = [text for text in texts if text is not None]
    is_integer = known and all(_INTEGER.fullmatch(text) and -(2**63) <= int(text) < 2**63 for text in known)
    return pa.int64() if is_integer else pa.string()


def _value(text: str | None, kind: pa.DataType) -> Value:
    return int(text) if text is not None and pa.types.is_integer(kind) else text
