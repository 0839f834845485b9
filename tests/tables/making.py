"""Typed rows for every table, made from its definition: full, with every NULL it allows, and at the edges."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from lakehouse.tables.finish import finish_row
from schemas.model import Column, Table
from schemas.tables import (
    BATCHES,
    BY_NAME,
    CHANGESETS,
    DERIVATIONS,
    ENTITIES,
    LANDED_FILES,
    MARTS,
    OBJECT_MEMBERS,
    OPINIONS,
    TABLES,
)

INSTANTS = (
    datetime(2026, 1, 2, 3, 4, 5, 678901, UTC),
    datetime(1969, 12, 31, 23, 59, 59, 999999, UTC),
    datetime(2099, 2, 28, 12, 0, 0, 1, UTC),
)
TEXTS = ("plain", "", "naïve 日本 🐦 'quoted' \"\n\t%20 \\")
LONGS = (1, 2, 2**62 + 1)
INTS = (1, 2, 2**31 - 1)
FLOATS = (0.5, 1.0, 0.1 + 0.2)
FULL, NULLS, EDGES = range(3)

OVERRIDES: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    LANDED_FILES.name: ({}, {"rule": "symlink"}, {}),
    ENTITIES.name: ({}, {"parent_id": "a parent"}, {}),
    OPINIONS.name: (
        {"op": "assert", "value_kind": "label", "label": "chat", "event_time_source": "source"}
        | dict.fromkeys(("labels", "number", "text", "regions", "ranking", "target_opinion_id")),
        {"op": "abstain", "value_kind": "none", "event_time_source": "unknown"},
        {"op": "assert", "value_kind": "regions", "labels": ["été", ""], "event_time_source": "file"}
        | dict.fromkeys(("label", "number", "text", "ranking", "target_opinion_id")),
    ),
    BATCHES.name: tuple(
        {"rows_read": 10 + n, "rows_new": 4, "rows_same": n, "rows_rejected": 5, "rows_unmatched": 1}
        for n in range(3)
    ),  # type: ignore[dict-item]
    DERIVATIONS.name: ({}, {"place": 0}, {}),
    OBJECT_MEMBERS.name: ({"superseded_by": None}, {}, {"op": "leaves"}),
    MARTS.name: ({"first_run": 1}, {"how": "whole", "because": "why"}, {"how": "touched", "because": None}),
    CHANGESETS.name: ({"op": "add", "reverts": None}, {"op": "drop", "entities_id": "some"}, {"entities_id": None}),
}


def sample_rows(table: Table) -> list[dict[str, Any]]:
    """Three rows that pass every constraint of the table."""
    return [_row(table, variant) for variant in (FULL, NULLS, EDGES)]


def arrow_rows(table: Table) -> pa.Table:
    """The same, typed."""
    return pa.Table.from_pylist(sample_rows(table), schema=table.arrow_schema)


def _row(table: Table, variant: int) -> dict[str, Any]:
    row = {column.name: _cell(table, column, variant) for column in table.columns if column.name != "row_hash"}
    row |= OVERRIDES.get(table.name, ({}, {}, {}))[variant]
    return finish_row(row, table, INSTANTS[0])


def _cell(table: Table, column: Column, variant: int) -> Any:
    if column.name in table.key and pa.types.is_string(column.type):
        allowed = _allowed(table, column.name)
        return allowed[0] if allowed else f"{column.name} {variant} {TEXTS[EDGES]}"
    if column.null is not None and variant == NULLS:
        return None
    allowed = _allowed(table, column.name)
    return allowed[variant % len(allowed)] if allowed else _value(column.type, variant)


def _allowed(table: Table, name: str) -> list[str]:
    for check in table.checks.values():
        found = re.fullmatch(rf"{name} IN \((.*)\)", check)
        if found:
            return re.findall(r"'([^']*)'", found[1])
    return []


def _value(kind: pa.DataType, variant: int) -> Any:
    if pa.types.is_string(kind):
        return TEXTS[variant]
    if pa.types.is_int64(kind):
        return LONGS[variant]
    if pa.types.is_int32(kind):
        return INTS[variant]
    if pa.types.is_float64(kind):
        return FLOATS[variant]
    if pa.types.is_float32(kind):
        return 0.25 if variant == FULL else -0.5
    if pa.types.is_boolean(kind):
        return variant != FULL
    if pa.types.is_timestamp(kind):
        return INSTANTS[variant]
    if pa.types.is_map(kind):
        return {} if variant == NULLS else {TEXTS[EDGES]: _value(kind.item_type, variant), "": None}
    if pa.types.is_list(kind):
        return [] if variant == NULLS else [_value(kind.value_type, FULL), _value(kind.value_type, EDGES)]
    if pa.types.is_struct(kind):
        return {field.name: None if variant == EDGES else _value(field.type, variant) for field in kind}
    raise TypeError(f"no sample for {kind}")


def plain_rows(data: pa.Table) -> list[dict[str, Any]]:
    """Rows as plain values, sorted by their hash: what readers must agree on."""
    return sorted((_plain(row, data.schema) for row in data.to_pylist()), key=lambda row: str(row["row_hash"]))


def plain_types(schema: pa.Schema) -> dict[str, str]:
    """Column -> type without the names and NULL-ness of nested fields, which readers choose as they like."""
    return {field.name: _type(field.type) for field in schema}


def _plain(row: dict[str, Any], schema: pa.Schema) -> dict[str, Any]:
    return {
        field.name: dict(row[field.name]) if pa.types.is_map(field.type) and row[field.name] is not None
        else _nested(row[field.name], field.type)
        for field in schema
    }


def _nested(value: Any, kind: pa.DataType) -> Any:
    if value is None:
        return None
    if pa.types.is_map(kind):
        return {key: _nested(item, kind.item_type) for key, item in value}
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return [_nested(item, kind.value_type) for item in value]
    if pa.types.is_struct(kind):
        return {field.name: _nested(value[field.name], field.type) for field in kind}
    return value


def _type(kind: pa.DataType) -> str:
    if pa.types.is_map(kind):
        return f"map<{_type(kind.key_type)},{_type(kind.item_type)}>"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return f"list<{_type(kind.value_type)}>"
    if pa.types.is_struct(kind):
        return "struct<" + ",".join(f"{field.name}:{_type(field.type)}" for field in kind) + ">"
    return "string" if pa.types.is_large_string(kind) or pa.types.is_string_view(kind) else str(kind)


__all__ = ["BY_NAME", "TABLES", "arrow_rows", "plain_rows", "plain_types", "sample_rows"]
