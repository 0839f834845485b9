"""Completing rows: column by column and row by row they become the same."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from lakehouse.tables.finish import finish_batch, finish_row
from schemas.tables import DATASET_MEMBERS, DATASETS, ENTITIES, OPINIONS

NOW = datetime(2025, 1, 1, tzinfo=UTC)
MEMBER = {"dataset_id": "d", "entity_id": "é", "weight": 1, "bucket": 2**51, "label_votes": [("dog", 2), ("cat", 1)]}


@pytest.mark.parametrize(
    ("table", "row"),
    [
        (DATASET_MEMBERS, MEMBER),
        (DATASETS, {"dataset_id": "d", "built_at": datetime(2024, 1, 1, tzinfo=UTC)}),
        (ENTITIES, {"entity_id": "x", "first_version": 7, "other": 1}),
        (OPINIONS, {"opinion_id": "x", "number": 0.1, "labels": ["a", 'b"'], "regions": [{"kind": "box", "x": 1.5}]}),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_batch_is_finished_as_its_rows_are(table, row):
    nullable = pa.schema([pa.field(each.name, each.type) for each in table.columns if each.name in row])
    given = pa.RecordBatch.from_pylist([row, {}], schema=nullable)
    made = finish_batch(given, table, NOW)
    assert made.schema == table.arrow_schema
    assert made.to_pylist() == pa.RecordBatch.from_pylist(
        [finish_row(each, table, NOW) for each in given.to_pylist()], schema=nullable_of(table)).to_pylist()


def nullable_of(table):
    return pa.schema([pa.field(each.name, each.type) for each in table.columns])


def test_narrower_types_of_an_engine_are_cast_and_values_that_do_not_fit_refused():
    rows = pa.RecordBatch.from_pydict({"bucket": pa.array([1], pa.int32()), "weight": pa.array([1], pa.int64())})
    assert finish_batch(rows, DATASET_MEMBERS, NOW).to_pylist()[0]["bucket"] == 1
    with pytest.raises(pa.ArrowInvalid):
        finish_batch(pa.RecordBatch.from_pydict({"bucket": ["x"]}), DATASET_MEMBERS, NOW)
