"""What the log tells of a file makes no reader skip rows, and names nothing that is in them."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable

from lakehouse.tables.insert import insert
from lakehouse.tables.read import table_path
from schemas.model import Table
from schemas.tables import TABLES
from tests.making import small_lake
from tests.tables.making import arrow_rows


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    with small_lake(tmp_path_factory.mktemp("statistics") / "lake") as lake:
        for table in TABLES:
            insert(lake, table, lake.engine.from_arrow(arrow_rows(table)), step="test")
        yield lake


@pytest.mark.parametrize("checkpoint", [False, True])
@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_filter_of_delta_rs_finds_every_value(lake, table: Table, checkpoint: bool) -> None:
    handle = DeltaTable(table_path(lake.root, table))
    if checkpoint:
        handle.create_checkpoint()
        handle = DeltaTable(table_path(lake.root, table))
    rows = handle.to_pyarrow_table()
    for column in table.columns:
        if pa.types.is_nested(column.type):
            continue
        for value in pc.unique(rows[column.name].drop_null()):
            wanted = pc.sum(pc.equal(rows[column.name], value)).as_py()
            found = handle.to_pyarrow_dataset().to_table(filter=pc.field(column.name) == value)
            assert found.num_rows == wanted, (column.name, value)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_the_log_tells_no_value(lake, table: Table) -> None:
    (told,) = pa.table(DeltaTable(table_path(lake.root, table)).get_add_actions(flatten=True)).to_pylist()
    assert told["num_records"] == 3
    assert {value for name, value in told.items() if name.startswith(("min.", "max."))} <= {None}
    assert any(name.startswith("null_count.") for name in told)
