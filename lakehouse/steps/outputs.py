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


def tagged_batch(rows: pa.RecordBatch, table: Table, schema: pa.Schema) -> pa.RecordBatch:
    """Return finished rows of one table as a batch of `union_schema(...)`; columns of the others are null."""
    columns = {TARGET: pa.repeat(pa.scalar(table.name), rows.num_rows)}
    columns |= {name: rows.column(name) for name in table.column_names}
    arrays = [columns[field.name] if field.name in columns else pa.nulls(rows.num_rows, field.type) for field in schema]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def insert_outputs(lake: Lake, outputs: Relation, tables: Iterable[Table], *, step: str) -> dict[str, Inserted]:
    """Insert each table's rows, in the order of `tables`; returns table name -> what changed."""
    written = {}
    found = lake.engine.sql(f"select distinct {TARGET} from outputs", {"outputs": outputs}, {})
    present = set(lake.engine.arrow(found)[TARGET].to_pylist())
    for table in tables:
        if table.name not in present:
            version = head(lake.home, table)
            written[table.name] = Inserted(table.name, version, version, 0, 0, str(digest_at(lake, table, version)))
            continue
        columns = ", ".join(table.column_names)
        text = f"select {columns} from outputs where {TARGET} = $table"
        rows = lake.engine.sql(text, {"outputs": outputs}, {"table": table.name})
        written[table.name] = insert(lake, table, rows, step=step)
    return written
