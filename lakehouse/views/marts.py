"""Marts as rows: what of gold.marts and gold.mart_rows holds now, with the types that each mart states."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa

from schemas.model import TIMESTAMP

PREFIX = "mart_"
"""How tables of `petrel sql` begin that are marts."""

CALLED = re.compile(rf"(?<![\w.\"]){PREFIX}([a-z][a-z0-9_]*)", re.IGNORECASE)
"""What may be a mart in a query."""

KINDS: Mapping[str, pa.DataType] = {
    "text": pa.string(), "integer": pa.int64(), "number": pa.float64(), "boolean": pa.bool_(),
    "timestamp": TIMESTAMP, "date": pa.date32(),
}  # fmt: skip
"""Kind of a column -> type."""

RUNS = """
select name, run, definition_id, first_run, doc, keys, columns_json, how, because, rows, pins_json, digests_json, ran_at
from gold.marts qualify row_number() over (partition by name order by run desc) = 1
"""
"""The run of each mart that holds."""

ROWS = """
with held as (
    select name, first_run from gold.marts qualify row_number() over (partition by name order by run desc) = 1
), counted as (
    select r.name, r.run, r.key_json, r.values_json
    from gold.mart_rows r
    join held h on h.name = r.name and r.run >= h.first_run
    join gold.marts m on m.name = r.name and m.run = r.run
    where r.name = $name
), newest as (
    select *, row_number() over (partition by key_json order by run desc) as place from counted
)
select key_json, values_json from newest where place = 1 and values_json is not null order by key_json
"""
"""The rows of the mart `$name`; what a killed run left has no row in gold.marts."""


@dataclass(frozen=True, slots=True)
class MartRun:
    """The run of one mart that holds.

    Attributes:
        name: The mart.
        run: Its number.
        definition_id: Of keys, columns and texts.
        first_run: The run that built it under this definition.
        doc: What one row is.
        keys: Columns that identify a row.
        columns: Column -> kind, keys first.
        rows: How many rows it has.
        pins: Table -> version that it read.
        digests: Table -> digest of that.
        ran_at: When.
    """

    name: str
    run: int
    definition_id: str
    first_run: int
    doc: str
    keys: tuple[str, ...]
    columns: Mapping[str, str]
    rows: int
    pins: Mapping[str, int]
    digests: Mapping[str, str]
    ran_at: datetime


def runs_of(rows: Iterable[Mapping[str, Any]]) -> dict[str, MartRun]:
    """Return name -> run, of rows of `RUNS`, by name."""
    return {
        row["name"]: MartRun(
            row["name"], row["run"], row["definition_id"], row["first_run"], row["doc"], tuple(row["keys"]),
            dict(json.loads(row["columns_json"])), row["rows"], json.loads(row["pins_json"]),
            json.loads(row["digests_json"]), row["ran_at"],
        )
        for row in sorted(rows, key=lambda row: str(row["name"]))
    }  # fmt: skip


def typed_rows(run: MartRun, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Return the rows of a mart with its columns.

    Args:
        run: The run that holds.
        rows: Of `ROWS`.
    """
    whole = [[*json.loads(row["key_json"]), *json.loads(row["values_json"])] for row in rows]
    columns = {
        name: pa.array([_read(row[place], kind) for row in whole], KINDS[kind])
        for place, (name, kind) in enumerate(run.columns.items())
    }
    return pa.table(columns)


def _read(value: Any, kind: str) -> Any:
    if value is None:
        return None
    if kind == "date":
        return date.fromisoformat(value)
    if kind == "timestamp":
        return datetime.fromisoformat(value).astimezone(UTC)
    return value
