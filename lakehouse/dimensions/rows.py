"""Rows of silver.dimensions, made column by column.

An image has nineteen of them. Made and hashed one by one as dicts, as rows are elsewhere, they cost 190 µs an image,
more than decoding a small one; this way 50 µs. A test holds the short cut to `schemas.canonical.row_hash`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Any

import numpy as np
import pyarrow as pa

from lakehouse.extractors.extractor import Dimension, Extractor, Value
from lakehouse.steps.outputs import TARGET
from schemas.canonical import canonical_json
from schemas.silver import DIMENSIONS

COLUMNS = {"integer": "number", "number": "number", "text": "text", "boolean": "boolean", "timestamp": "instant"}
"""Which column holds a value of which kind."""

Measured = tuple[str, list[Value]]
"""An entity_id, and a value for each dimension of one extractor."""

_HOLE = "\0"


def dimension_batch(
    extractor: Extractor, measured: list[Measured], *, now: datetime, schema: pa.Schema
) -> pa.RecordBatch:
    """Return what one extractor measured, a row for each entity and dimension.

    Args:
        extractor: Who measured.
        measured: From `check_values`.
        now: Value of `extracted_at`.
        schema: A `union_schema` with silver.dimensions in it; columns of other tables are null.
    """
    dimensions = extractor.dimensions
    entities, width = len(measured), len(dimensions)
    values = [value for _, row in measured for value in row]
    of_dimension = np.tile(np.arange(width), entities)
    columns: dict[str, Any] = {
        TARGET: [DIMENSIONS.name] * len(values),
        "entity_id": pa.array([entity_id for entity_id, _ in measured]).take(np.repeat(np.arange(entities), width)),
        "dimension": pa.array([each.name for each in dimensions]).take(of_dimension),
        "extractor": [extractor.name] * len(values),
        "extractor_version": [extractor.version] * len(values),
        "value_kind": ["none" if value is None else dimensions[i % width].kind for i, value in enumerate(values)],
        "unit": pa.array([each.unit for each in dimensions], pa.string()).take(of_dimension),
        "extracted_at": [now] * len(values),
        "row_hash": list(_hashes(extractor, measured)),
    }
    holders = [COLUMNS[each.kind] for each in dimensions] * entities
    for name in sorted(set(COLUMNS.values())):
        columns[name] = [value if holder == name else None for holder, value in zip(holders, values, strict=True)]
    arrays = [
        _array(columns[field.name], field.type) if field.name in columns else pa.nulls(len(values), field.type)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _array(values: Any, kind: pa.DataType) -> Any:
    return pa.array(values, kind) if isinstance(values, list) else values


def _hashes(extractor: Extractor, measured: list[Measured]) -> Iterator[str]:
    pieces = [(_pieces(extractor, each, "none"), _pieces(extractor, each, each.kind)) for each in extractor.dimensions]
    for entity_id, values in measured:
        identity = encode_basestring(entity_id)
        for (without, with_value), value in zip(pieces, values, strict=True):
            if value is None:
                text = identity.join(without)
            else:
                start, middle, end = with_value
                # `boolean` sorts before `entity_id`, the other columns after it.
                if isinstance(value, bool):
                    text = f"{start}{_json(value)}{middle}{identity}{end}"
                else:
                    text = f"{start}{identity}{middle}{_json(value)}{end}"
            yield hashlib.sha256(text.encode()).hexdigest()


def _json(value: Value) -> str:
    if isinstance(value, float) and not value.is_integer():
        return repr(value)
    if isinstance(value, str) and value.isascii():
        return encode_basestring(value)
    return canonical_json(value)


@lru_cache(maxsize=4096)
def _pieces(extractor: Extractor, dimension: Dimension, kind: str) -> list[str]:
    # The row's canonical JSON, cut where entity_id and value stand.
    row: dict[str, object] = dict.fromkeys(name for name in DIMENSIONS.column_names if name != "row_hash")
    row = {name: value for name, value in row.items() if name not in DIMENSIONS.clock_columns}
    row |= {"dimension": dimension.name, "extractor": extractor.name, "extractor_version": extractor.version,
            "unit": dimension.unit, "value_kind": kind, "entity_id": _HOLE}
    if kind != "none":
        row[COLUMNS[kind]] = _HOLE
    return canonical_json(row).split(canonical_json(_HOLE))
