"""Completing rows before they are inserted: clock columns, the version of the commit, and `row_hash`."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from schemas.canonical import row_hash
from schemas.canonical_columns import row_hashes
from schemas.model import Column, Table
from schemas.tables import BY_NAME

if TYPE_CHECKING:
    from lakehouse.engines import Relation
    from lakehouse.lake import Lake

ROWS_PER_TASK = 20_000


def finish_row(row: Mapping[str, object], table: Table, now: datetime) -> dict[str, object]:
    """Return the row with every column, timestamp clock columns and `row_hash` filled in."""
    complete = {name: row.get(name) for name in table.column_names}
    for column in table.columns:
        if column.clock and complete[column.name] is None and pa.types.is_timestamp(column.type):
            complete[column.name] = now
        if column.commit:
            complete[column.name] = 0  # `insert` knows it, under the table's lock.
    if table.has_row_hash:
        complete["row_hash"] = row_hash(complete, table)
    return complete


def finish_batch(rows: pa.RecordBatch, table: Table, now: datetime) -> pa.RecordBatch:
    """Return the rows as `finish_row` makes them, column by column: a tenth of the time.

    Args:
        rows: Columns by name; one that is missing is NULL, one that the table does not have is left out.
        table: Definition of the table.
        now: Fills timestamp clock columns that are NULL.

    Raises:
        ArrowInvalid: If a value does not fit the column's type.
        ValueError: For values without canonical JSON, as infinities.
    """
    columns = {column.name: _column(rows, column, now) for column in table.columns if column.name != "row_hash"}
    if table.has_row_hash:
        columns["row_hash"] = row_hashes(pa.RecordBatch.from_pydict(columns), table)
    return pa.RecordBatch.from_arrays([columns[name] for name in table.column_names], schema=table.arrow_schema)


def finished(lake: Lake, rows: Relation, table: Table, *, label: str) -> Relation:
    """Return rows that SQL made as the table holds them: clock columns and `row_hash`, which is only made in Python.

    Args:
        lake: The lake.
        rows: As of `finish_batch`.
        table: Definition of the table.
        label: What people are told is going on.
    """
    finish = functools.partial(finish_batches, table_name=table.name, now=lake.clock())
    return lake.engine.map_batches(rows, finish, table.arrow_schema, rows_per_task=ROWS_PER_TASK, label=label)


def finish_batches(
    batches: Iterator[pa.RecordBatch], *, table_name: str, now: datetime
) -> Iterator[pa.RecordBatch]:
    """Yield batches as `finish_batch` makes them: what `finished` maps over rows."""
    for batch in batches:
        yield finish_batch(batch, BY_NAME[table_name], now)


def _column(rows: pa.RecordBatch, column: Column, now: datetime) -> pa.Array:
    if column.commit:
        return pa.repeat(pa.scalar(0, column.type), rows.num_rows)  # `insert` knows it, under the table's lock.
    if column.name in rows.schema.names:
        values = rows.column(column.name).cast(column.type)
    else:
        values = pa.nulls(rows.num_rows, column.type)
    if column.clock and pa.types.is_timestamp(column.type) and values.null_count:
        return pc.fill_null(values, pa.scalar(now, column.type))
    return values
