"""One batch function, several tables: rows travel together, tagged with the table they are for.

Work that touches bytes is done once; what it finds (an entity, its provenance, or a rejection) goes to
different tables. The function yields rows of the union of their columns; the step splits them afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pyarrow as pa

from lakehouse.engines import Relation
from lakehouse.lake import Lake
from lakehouse.tables.insert import insert
from lakehouse.tables.inserted import Inserted
from lakehouse.tables.read import digest_at, head
from schemas.model import Table

TARGET = "target_table"


def union_schema(*tables: Table) -> pa.Schema:
    """Return the columns of all tables, nullable, after the tag; a name shared by two must have one type."""
    fields: dict[str, pa.DataType] = {}
    for table in tables:
        for column in table.columns:
            if fields.setdefault(column.name, column.type) != column.type:
                raise TypeError(f"{table.name}.{column.name}: {column.type}, elsewhere {fields[column.name]}")
    return pa.schema([pa.field(TARGET, pa.string(), nullable=False), *(pa.field(*item) for item in fields.items())])


def union_batch(rows: Iterable[tuple[Table, Mapping[str, object]]], schema: pa.Schema) -> pa.RecordBatch:
    """Return tagged rows as one batch of `union_schema(...)`."""
    return pa.RecordBatch.from_pylist([{TARGET: table.name, **row} for table, row in rows], schema=schema)


def tagged_batch(
    rows: pa.RecordBatch, table: Table, schema: pa.Schema, *, beside: Mapping[str, pa.Array] | None = None
) -> pa.RecordBatch:
    """Return finished rows of one table as a batch of `union_schema(...)`; other columns are null, or beside."""
    columns = {TARGET: pa.repeat(pa.scalar(table.name), rows.num_rows), **(beside or {})}
    columns |= {name: rows.column(name) for name in table.column_names}
    arrays = [columns[field.name] if field.name in columns else pa.nulls(rows.num_rows, field.type) for field in schema]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def rows_of(
    lake: Lake, outputs: Relation, table: Table, *, first_by: Mapping[str, str] | None = None
) -> Relation:
    """Return the rows of one table among outputs; of those with one key the first, where an order is named for it."""
    columns = ", ".join(table.column_names)
    text = f"select {columns} from outputs where {TARGET} = $table"
    if order := (first_by or {}).get(table.name):
        text += f" qualify row_number() over (partition by {', '.join(table.key)} order by {order}) = 1"
    return lake.engine.sql(text, {"outputs": outputs}, {"table": table.name})


def insert_outputs(
    lake: Lake, outputs: Relation, tables: Iterable[Table], *, step: str, first_by: Mapping[str, str] | None = None
) -> dict[str, Inserted]:
    """Insert each table's rows, in the order of `tables`; returns table name -> what changed.

    Args:
        lake: The lake.
        outputs: Rows of `union_schema`.
        tables: Where they go.
        step: Name of the step.
        first_by: Table -> columns by which, of rows with one key, the first is taken; without it by hash.
    """
    written = {}
    found = lake.engine.sql(f"select distinct {TARGET} from outputs", {"outputs": outputs}, {})
    present = set(lake.engine.arrow(found)[TARGET].to_pylist())
    for table in tables:
        if table.name not in present:
            version = head(lake.home, table)
            written[table.name] = Inserted(table.name, version, version, 0, 0, str(digest_at(lake, table, version)))
            continue
        rows = rows_of(lake, outputs, table, first_by=first_by)
        written[table.name] = insert(lake, table, rows, step=step)
    return written
