"""One batch function, several tables: rows find the table they are for."""

from __future__ import annotations

import pyarrow as pa
import pytest

from lakehouse.query import fetch
from lakehouse.steps.outputs import TARGET, insert_outputs, tagged_batch, union_batch, union_schema
from lakehouse.tables.finish import finish_row
from schemas.model import Column, Table
from schemas.tables import ACTORS, REJECTED
from tests.making import START


def test_shared_columns_appear_once_and_everything_but_the_tag_may_be_null():
    schema = union_schema(ACTORS, REJECTED)
    assert schema.names == [TARGET, *ACTORS.column_names, *(n for n in REJECTED.column_names if n != "row_hash")]
    assert [field.name for field in schema if not field.nullable] == [TARGET]


def test_a_shared_name_of_two_types_is_refused():
    other = Table("silver.x", "One x.", (Column("kind", pa.int64(), "Kind."),), key=("kind",))
    with pytest.raises(TypeError, match=r"silver\.x\.kind: int64, elsewhere string"):
        union_schema(ACTORS, other)


def test_rows_come_to_their_tables_and_to_no_other(lake):
    rejected = {"rejected_id": "r", "step": "s", "subject": "x", "rule": "empty", "reason": "Nothing in it."}
    rows = [
        (ACTORS, finish_row({"actor_id": "human:ä", "kind": "human", "name": ""}, ACTORS, START)),
        (REJECTED, finish_row(rejected, REJECTED, START)),
    ]
    batch = union_batch(rows, union_schema(ACTORS, REJECTED))
    outputs = lake.engine.from_arrow(pa.Table.from_batches([batch]))
    written = insert_outputs(lake, outputs, (ACTORS, REJECTED), step="test")
    assert {name: write.rows_new for name, write in written.items()} == {"silver.actors": 1, "silver.rejected": 1}
    assert fetch(lake, "select actor_id, name from silver.actors") == [{"actor_id": "human:ä", "name": ""}]
    assert fetch(lake, "select subject, raw from silver.rejected") == [{"subject": "x", "raw": None}]


def test_finished_rows_of_one_table_are_tagged_and_have_nulls_for_the_others():
    row = finish_row({"actor_id": "human:ä", "kind": "human", "name": ""}, ACTORS, START)
    schema = union_schema(ACTORS, REJECTED)
    batch = tagged_batch(pa.RecordBatch.from_pylist([row], schema=ACTORS.arrow_schema), ACTORS, schema)
    assert batch == union_batch([(ACTORS, row)], schema)


def test_no_rows_are_a_batch_too():
    assert union_batch([], union_schema(ACTORS)).num_rows == 0
