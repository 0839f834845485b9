"""Row hashes column by column: byte for byte those of the rows."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.canonical import canonical_json, content_id, row_hash
from schemas.canonical_columns import content_ids, row_hashes, row_texts, texts_of
from schemas.model import ROW_HASH, TIMESTAMP, Column, Table
from schemas.opinions import REGION, TEXT_MAP
from schemas.tables import TABLES

TEXTS = st.text() | st.text('ab"\\\n\t\x00\x1f\x7fe\u0301é😀\u2028')
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
INT64 = st.integers(-(2**63), 2**63 - 1)
INT32 = st.integers(-(2**31), 2**31 - 1)
INSTANTS = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))


def values_of(kind: pa.DataType) -> st.SearchStrategy[object]:
    """Python values of a type, as Arrow hands them out."""
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return TEXTS
    if pa.types.is_integer(kind):
        return INT32 if kind.bit_width == 32 else INT64
    if pa.types.is_float32(kind):
        return st.floats(allow_nan=False, allow_infinity=False, width=32)
    if pa.types.is_floating(kind):
        return FLOATS | st.sampled_from([0.0, -0.0, 1e16, 2.0**53, 2.0**53 - 1, -(2.0**53), 1e-5, 5e-324, 1.5])
    if pa.types.is_boolean(kind):
        return st.booleans()
    if pa.types.is_timestamp(kind):
        return INSTANTS
    if pa.types.is_binary(kind):
        return st.binary()
    if pa.types.is_map(kind):
        return st.dictionaries(values_of(kind.key_type), st.none() | values_of(kind.item_type), max_size=3).map(
            lambda found: list(found.items()))
    if pa.types.is_list(kind):
        return st.lists(st.none() | values_of(kind.value_type), max_size=3)
    if pa.types.is_struct(kind):
        return st.fixed_dictionaries({field.name: st.none() | values_of(field.type) for field in kind})
    raise TypeError(kind)


KINDS = [
    pa.string(), pa.large_string(), pa.int32(), pa.int64(), pa.float32(), pa.float64(), pa.bool_(), TIMESTAMP,
    pa.binary(), pa.list_(pa.string()), pa.list_(pa.float64()), pa.list_(pa.list_(pa.int64())), pa.list_(TIMESTAMP),
    pa.struct([("a", pa.string()), ("b", pa.list_(pa.float64()))]), TEXT_MAP,
]


@pytest.mark.parametrize("kind", KINDS, ids=str)
@given(data=st.data())
def test_every_value_of_a_column_has_its_canonical_json(kind, data):
    array = pa.array(data.draw(st.lists(st.none() | values_of(kind), max_size=8)), kind)
    start = data.draw(st.integers(0, len(array)))
    expected = [canonical_json(value) for value in array.to_pylist()]
    assert texts_of(array).to_pylist() == expected
    assert texts_of(array.slice(start)).to_pylist() == expected[start:]


@given(data=st.data())
def test_ids_of_lists_of_values_are_those_of_the_rows(data):
    kinds = [pa.string(), pa.int64(), TIMESTAMP, TEXT_MAP]
    rows = data.draw(st.lists(st.tuples(*(st.none() | values_of(kind) for kind in kinds)), max_size=4))
    same = data.draw(TEXTS)
    columns = [pa.array([row[at] for row in rows], kind) for at, kind in enumerate(kinds)]
    expected = [content_id([same, *row, same]) for row in zip(*(each.to_pylist() for each in columns), strict=True)]
    assert content_ids([same, *columns, same]).to_pylist() == expected
    assert content_ids([columns[0]], digits=64).to_pylist() == [content_id([row[0]], digits=64) for row in rows]


@st.composite
def rows_of(draw, table: Table) -> tuple[list[dict[str, object]], int]:
    columns = {
        column.name: draw(st.just(st.none()) | st.just(st.none() | values_of(column.type))) for column in table.columns
    }
    rows = draw(st.lists(st.fixed_dictionaries(columns), max_size=3))
    return rows, draw(st.integers(0, len(rows)))


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
@given(data=st.data())
def test_rows_of_every_table_hash_the_same_by_column_and_by_row(table, data):
    made, start = data.draw(rows_of(table))
    nullable = pa.schema([pa.field(each.name, each.type) for each in table.columns])
    batch = pa.RecordBatch.from_pylist(made, schema=nullable)
    rows = batch.to_pylist()
    try:
        expected = [row_hash(row, table) for row in rows]
    except ValueError:
        # Two keys that are the same text in NFC.
        with pytest.raises(ValueError, match="NFC"):
            row_hashes(batch, table)
        return
    assert row_hashes(batch, table).to_pylist() == expected
    assert row_hashes(batch.slice(start), table).to_pylist() == expected[start:]


PAIRS = Table(
    name="silver.pairs", doc="One pair.", key=("pair_id",),
    columns=(
        Column("pair_id", pa.string(), "Id."),
        Column("tags", TEXT_MAP, "Tags.", null="none"),
        Column("regions", pa.list_(REGION), "Regions.", null="none"),
        Column("seen_at", TIMESTAMP, "Learned.", clock=True),
        ROW_HASH,
    ),
)  # fmt: skip


def test_maps_are_objects_at_the_top_and_keep_their_order_inside():
    region = dict.fromkeys(field.name for field in REGION) | {"attrs": [("b", "1"), ("a", "2")]}
    rows = [
        {"pair_id": "x", "tags": [("b", "1"), ("a", None)], "regions": [region]},
        {"pair_id": "y", "tags": [], "regions": []},
        {"pair_id": None, "tags": None, "regions": None},
        {"pair_id": "z", "tags": [("é\"", "1")]},
    ]
    batch = pa.RecordBatch.from_pylist(rows, schema=PAIRS.arrow_schema.remove(4))
    assert row_hashes(batch, PAIRS).to_pylist() == [row_hash(row, PAIRS) for row in batch.to_pylist()]


def test_a_column_that_is_missing_counts_as_null_and_one_too_many_is_left_out():
    batch = pa.RecordBatch.from_pylist([{"pair_id": "x", "other": 1}])
    assert row_texts(batch, PAIRS).to_pylist() == ['{"pair_id":"x","regions":null,"tags":null}']
    assert row_hashes(batch, PAIRS).to_pylist() == [row_hash({"pair_id": "x"}, PAIRS)]
    assert row_hashes(batch.slice(1), PAIRS).to_pylist() == []
    assert row_texts(batch.select([]), PAIRS).to_pylist() == ['{"pair_id":null,"regions":null,"tags":null}']


LATE = Table(
    name="silver.late", doc="One thing.", key=("id",),
    columns=(
        Column("first", pa.string(), "First.", null="none", late=True),
        Column("id", pa.string(), "Id."),
        Column("last", pa.int64(), "Last.", null="none", late=True),
        Column("zone", TEXT_MAP, "Zone.", null="none", late=True),
        ROW_HASH,
    ),
)  # fmt: skip


@given(data=st.data())
def test_columns_that_came_later_are_left_out_where_they_are_null(data):
    made, start = data.draw(rows_of(LATE))
    schema = pa.schema([pa.field(each.name, each.type) for each in LATE.columns if each.name != "zone"])
    batch = pa.RecordBatch.from_pylist(made, schema=schema)
    expected = [row_hash(row, LATE) for row in batch.to_pylist()]
    assert row_hashes(batch, LATE).to_pylist() == expected
    assert row_hashes(batch.slice(start), LATE).to_pylist() == expected[start:]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_without_json_form_is_refused_by_column_as_by_row(value):
    with pytest.raises(ValueError, match="finite numbers only"):
        texts_of(pa.array([0.5, value]))


def test_types_without_canonical_form_are_refused_by_column_as_by_row():
    with pytest.raises(TypeError, match="no canonical JSON for date"):
        texts_of(pa.array([datetime(2025, 1, 1).date()]))
    with pytest.raises(ValueError, match="needs a time zone"):
        texts_of(pa.array([datetime(2025, 1, 1)]))


def test_instants_of_other_units_and_zones_are_the_same_instants():
    moment = datetime(2025, 1, 1, 12, tzinfo=UTC) + timedelta(milliseconds=7)
    for kind in (pa.timestamp("ms", tz="UTC"), pa.timestamp("us", tz="Europe/Berlin")):
        assert texts_of(pa.array([moment], kind)).to_pylist() == ['"2025-01-01T12:00:00.007000Z"']
