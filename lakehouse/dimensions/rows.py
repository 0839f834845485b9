"""Rows of silver.dimensions, made column by column.

An image has some seventeen of them: made as dicts and hashed one by one as elsewhere, they cost as much as decoding a
small image. A test holds the short cut to `schemas.canonical.row_hash`.
"""

from __future__ import annotations

import json
import math
import numbers
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache

import pyarrow as pa

from lakehouse.dimensions.registry import Dimension, Extractor, Value
from lakehouse.outputs import TARGET
from schemas.canonical import canonical_json, sha256_text
from schemas.silver import DIMENSIONS

EXACT = 2**53
"""Integers up to here are exact in the column `number`."""

_COLUMN = {"integer": "number", "number": "number", "text": "text", "boolean": "boolean", "timestamp": "instant"}


class DimensionRows:
    """Collects measurements; `batch` hands them out."""

    def __init__(self) -> None:
        self._columns: dict[str, list[object]] = {name: [] for name in DIMENSIONS.column_names}

    def __len__(self) -> int:
        return len(self._columns["entity_id"])

    def add(self, entity_id: str, extractor: Extractor, values: Mapping[str, Value], now: datetime) -> None:
        """Add what one extractor measured of one entity: all of its dimensions, or none if one is wrong.

        Args:
            entity_id: The entity.
            extractor: Who measured.
            values: By dimension name, as the extractor returned them.
            now: Value of `extracted_at`.

        Raises:
            ValueError: If a value is not finite, too large, or names no dimension of the extractor.
            TypeError: If a value is not of its dimension's kind.
        """
        unknown = set(values) - {dimension.name for dimension in extractor.dimensions}
        if unknown:
            raise ValueError(f"returned {', '.join(sorted(map(str, unknown)))}, which it does not declare")
        checked = [(dimension, plain(dimension, values.get(dimension.name))) for dimension in extractor.dimensions]
        for dimension, value in checked:
            self._add(entity_id, extractor, dimension, value, now)

    def batch(self, schema: pa.Schema) -> pa.RecordBatch:
        """Return the rows as a batch of `union_schema(DIMENSIONS, ...)`; columns of other tables are null."""
        count = len(self)
        arrays = []
        for field in schema:
            if field.name == TARGET:
                arrays.append(pa.array([DIMENSIONS.name] * count, field.type))
            elif field.name in self._columns:
                arrays.append(pa.array(self._columns[field.name], field.type))
            else:
                arrays.append(pa.nulls(count, field.type))
        return pa.RecordBatch.from_arrays(arrays, schema=schema)

    def _add(self, entity_id: str, extractor: Extractor, dimension: Dimension, value: Value, now: datetime) -> None:
        kind = "none" if value is None else dimension.kind
        held = {"number": None, "text": None, "boolean": None, "instant": None}
        texts = {"number": "null", "text": "null", "boolean": "null", "instant": "null"}
        if value is not None:
            column = _COLUMN[dimension.kind]
            held[column], texts[column] = value, canonical_json(value)  # type: ignore[assignment]
        content = _template(dimension, extractor, kind).format(entity_id=json.dumps(entity_id), **texts)
        columns = self._columns
        columns["entity_id"].append(entity_id)
        columns["dimension"].append(dimension.name)
        columns["extractor"].append(extractor.name)
        columns["extractor_version"].append(extractor.version)
        columns["value_kind"].append(kind)
        for column, item in held.items():
            columns[column].append(item)
        columns["unit"].append(dimension.unit)
        columns["extracted_at"].append(now)
        columns["row_hash"].append(sha256_text(content))


def plain(dimension: Dimension, value: object) -> Value:
    """Return a value as Python's own type of the dimension's kind; None stays None.

    Raises:
        ValueError: If the value is not finite, too large, or text that is not Unicode.
        TypeError: If it is of another kind.
    """
    if value is None:
        return None
    # numpy's scalars are registered as these numbers; its boolean is not one of them.
    truth = isinstance(value, bool) or type(value).__name__ == "bool_" or type(value).__name__ == "bool"
    if dimension.kind == "boolean" and truth:
        return bool(value)
    if dimension.kind == "integer" and isinstance(value, numbers.Integral) and not truth:
        return _within(dimension, int(value))
    if dimension.kind == "number" and isinstance(value, numbers.Real) and not truth:
        return _finite(dimension, float(value))
    if dimension.kind == "text" and isinstance(value, str):
        value.encode()
        return str(value)
    if dimension.kind == "timestamp" and isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"{dimension.name} is {value.isoformat()}, a time without a zone; give it one")
        return value
    raise TypeError(f"{dimension.name} is a {type(value).__name__}, expected {dimension.kind}")


def _within(dimension: Dimension, value: int) -> int:
    if abs(value) > EXACT:
        raise ValueError(f"{dimension.name} is {value}, beyond 2**53: give it as text")
    return value


def _finite(dimension: Dimension, value: float) -> float:
    if not math.isfinite(value):
        raise ValueError(f"{dimension.name} is {value}; return None where there is no value")
    return value


@lru_cache(maxsize=4096)
def _template(dimension: Dimension, extractor: Extractor, kind: str) -> str:
    # The row's canonical JSON with holes; every key except the clock column and the hash, sorted.
    holes = {name: f"\0{name}\0" for name in ("entity_id", "number", "text", "boolean", "instant")}
    fixed = {"dimension": dimension.name, "extractor": extractor.name, "extractor_version": extractor.version,
             "unit": dimension.unit, "value_kind": kind}
    text = canonical_json({**fixed, **holes}).replace("{", "{{").replace("}", "}}")
    for name in holes:
        text = text.replace(f'"\\u0000{name}\\u0000"', "{" + name + "}")
    return text
