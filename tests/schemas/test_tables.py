"""Every table is documented, and none changes by accident: `tables.json` is the contract with lakes that exist."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pyarrow as pa
import pytest

from schemas.model import Column, Table
from schemas.tables import BY_NAME, TABLES

SNAPSHOT = Path(__file__).with_name("tables.json")
SNAKE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
WORDS = re.compile(r"\b[a-z]{2,}\b")


def described(table: Table) -> dict[str, object]:
    """A table as the snapshot pins it."""
    return {
        "columns": {
            column.name: str(column.type)
            + ("" if column.null is None else " null")
            + (" clock" if column.clock else "")
            + (" commit" if column.commit else "")
            + (" late" if column.late else "")
            for column in table.columns
        },
        "key": list(table.key),
        "checks": dict(table.checks),
    }


ALL_COLUMNS = [
    pytest.param(table, column, id=f"{table.name}.{column.name}") for table in TABLES for column in table.columns
]
ALL_TABLES = [pytest.param(table, id=table.name) for table in TABLES]


def test_no_table_changed_without_its_snapshot():
    # A change here breaks lakes that exist: think about them first. Then write the file anew with
    #   python -m tests.schemas.test_tables
    found = {table.name: described(table) for table in TABLES}
    assert found == json.loads(SNAPSHOT.read_text(encoding="utf-8"))


def test_table_names_are_unique_and_found_by_name():
    assert list(BY_NAME) == [table.name for table in TABLES]
    assert len(set(BY_NAME)) == len(TABLES)


@pytest.mark.parametrize("table", ALL_TABLES)
def test_a_table_is_named_by_layer_and_noun_and_says_what_a_row_is(table):
    assert table.layer in ("bronze", "silver", "gold")
    layer, noun = table.name.split(".")
    assert layer == table.layer
    assert SNAKE.fullmatch(noun)
    assert table.doc.startswith(("One ", "Provenance: "))
    assert table.doc.endswith(".")


@pytest.mark.parametrize(("table", "column"), ALL_COLUMNS)
def test_a_column_has_a_lower_case_name_and_says_what_it_means(table, column):
    assert SNAKE.fullmatch(column.name)
    assert len(WORDS.findall(column.doc.lower())) >= 1
    assert column.doc.endswith((".", "..."))
    if column.null is not None:
        assert column.null
        assert f"NULL: {column.null}." in column.comment


@pytest.mark.parametrize("table", ALL_TABLES)
def test_a_key_is_never_null_and_a_row_has_a_hash(table):
    columns = {column.name: column for column in table.columns}
    assert len(columns) == len(table.columns)
    assert table.key
    assert all(columns[name].null is None for name in table.key)
    assert table.columns[-1].name == "row_hash"


@pytest.mark.parametrize("table", ALL_TABLES)
def test_no_key_is_a_clock(table):
    assert not set(table.key) & table.clock_columns


@pytest.mark.parametrize("table", ALL_TABLES)
def test_a_table_says_when_we_learned_a_row_or_is_part_of_one_that_does(table):
    timestamps = {c.name for c in table.columns if c.clock and pa.types.is_timestamp(c.type)}
    parts = ("gold.changeset_entities", "gold.dataset_members", "gold.dataset_exclusions", "gold.mart_rows")
    assert timestamps or table.name in parts


def leaves(kind: pa.DataType):
    """The types inside a type."""
    if pa.types.is_struct(kind):
        for field in kind:
            yield from leaves(field.type)
    elif pa.types.is_map(kind):
        yield from leaves(kind.key_type)
        yield from leaves(kind.item_type)
    elif pa.types.is_list(kind):
        yield from leaves(kind.value_type)
    else:
        yield kind


@pytest.mark.parametrize(("table", "column"), ALL_COLUMNS)
def test_only_types_that_every_engine_stores_alike_are_used(table, column):
    portable = {pa.string(), pa.int32(), pa.int64(), pa.float32(), pa.float64(), pa.bool_()}
    assert set(leaves(column.type)) <= portable | {pa.timestamp("us", tz="UTC")}


@pytest.mark.parametrize("table", ALL_TABLES)
def test_checks_read_columns_of_the_table(table):
    import sqlglot
    from sqlglot import exp

    for name, predicate in table.checks.items():
        assert SNAKE.fullmatch(name)
        read = {node.name for node in sqlglot.parse_one(predicate).find_all(exp.Column)}
        assert read
        assert read <= set(table.column_names)


def test_the_arrow_schema_carries_types_nullability_and_comments():
    table = Table("silver.things", "One thing.", (Column("a", pa.int64(), "Number."),
                                                  Column("b", pa.string(), "Text.", null="unknown")), key=("a",))
    schema = table.arrow_schema
    assert [(f.name, f.type, f.nullable) for f in schema] == [("a", pa.int64(), False), ("b", pa.string(), True)]
    assert schema.metadata == {b"comment": b"One thing."}
    assert schema.field("b").metadata == {b"comment": b"Text. NULL: unknown."}


def test_a_key_that_is_no_column_is_refused():
    with pytest.raises(ValueError, match=r"silver\.things: key columns \['c'\]"):
        Table("silver.things", "One thing.", (Column("a", pa.int64(), "Number."),), key=("a", "c"))


if __name__ == "__main__":
    SNAPSHOT.write_text(
        json.dumps({table.name: described(table) for table in TABLES}, indent=1, ensure_ascii=False) + "\n",
        encoding="utf-8",
    )
