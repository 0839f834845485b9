"""Writing what a plan says, table by table; writing it twice adds nothing."""

from __future__ import annotations

import functools

import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.lake import Lake
from lakehouse.merging.plan import Plan
from lakehouse.steps.fresh import FRESH
from lakehouse.steps.step import StepRecord
from lakehouse.tables.insert import insert
from lakehouse.tables.remove import remove_rows
from schemas.tables import TABLES


def apply_plan(lake: Lake, plan: Plan, record: StepRecord, *, kind: str) -> None:
    """Take out what goes and write what comes; the record counts both.

    Args:
        lake: The lake, on the line that is written to.
        plan: What comes and goes.
        record: Of the step that runs.
        kind: `merge`, `revert` or `abandon`; the Delta commits tell of it as their step.
    """
    come = gone = 0
    for table in TABLES:
        if hashes := plan.go.get(table.name):
            chosen = functools.partial(_among, hashes=pa.array(sorted(hashes), pa.string()))
            gone += remove_rows(lake, table, chosen, step=kind).rows
        if (rows := plan.come.get(table.name)) is not None and rows.num_rows:
            done = insert(lake, table, lake.engine.from_arrow(rows), step=kind)
            record.writes.append(done)
            come += done.rows_new
            if kind == "revert" and (held := rows.num_rows - done.rows_new):
                record.note(f"held {table.name}", f"{held} rows of {table.name} that the commit took out do not come "
                            "back: they are there, or later rows stand under their keys", count=held)  # fmt: skip
    if gone:
        for each in list(lake.files.list(FRESH)):  # a note that nothing changed
            lake.files.delete(each.name)
    record.counts = {"come": come, "gone": gone}


def _among(rows: pa.RecordBatch, *, hashes: pa.Array) -> pa.BooleanArray:
    return pc.is_in(rows.column("row_hash"), value_set=hashes)
