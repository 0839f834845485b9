"""Rows made column by column are the rows that are made one by one elsewhere."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from lakehouse.dimensions.extract import OUTPUTS
from lakehouse.dimensions.rows import dimension_batch
from lakehouse.extractors.extractor import Dimension
from schemas.canonical import row_hash
from schemas.silver import DIMENSIONS
from tests.dimensions.samples import extractor

NOW = datetime(2026, 1, 1, tzinfo=UTC)
EVERY_KIND = tuple(Dimension(f"a_{kind}", kind, "A doc.", unit) for kind, unit in (
    ("integer", "px"), ("number", 'odd "unit"'), ("text", None), ("boolean", None), ("timestamp", None),
))
VALUES = [
    [3, 0.1, "plain", True, datetime(2024, 6, 1, 10, 30, 0, 5, tzinfo=UTC)],
    [0, -0.0, "", False, datetime(1900, 1, 1, tzinfo=UTC)],
    [1 - 2**53, 1e300, 'quote " backslash \\ newline \n \x01', True, None],
    [None, 5.0, "e\u0301 and é, \U0001f9ea", False, None],
    [2**53 - 1, 1e16, "\u2028{}%s", None, None],
    [None, None, None, None, None],
]


@pytest.fixture
def rows():
    mine = extractor(name="mine", version=3, dimensions=EVERY_KIND)
    measured = [(f"{number:064x}", values) for number, values in enumerate(VALUES)]
    batch = dimension_batch(mine, measured, now=NOW, schema=OUTPUTS)
    assert batch.schema == OUTPUTS
    return batch.to_pylist()


def test_the_short_cut_gives_the_hash_of_the_schema(rows):
    assert len(rows) == 30
    for row in rows:
        assert row["row_hash"] == row_hash(row, DIMENSIONS), row


def test_each_value_stands_in_the_column_of_its_kind(rows):
    first = {row["dimension"]: row for row in rows[:5]}
    held = ("number", "text", "boolean", "instant")

    assert [first["a_integer"][name] for name in held] == [3.0, None, None, None]
    assert [first["a_number"][name] for name in held] == [0.1, None, None, None]
    assert [first["a_text"][name] for name in held] == [None, "plain", None, None]
    assert [first["a_boolean"][name] for name in held] == [None, None, True, None]
    assert [first["a_timestamp"][name] for name in held] == [None, None, None, VALUES[0][4]]


def test_what_has_no_value_says_so(rows):
    assert {row["value_kind"] for row in rows[-5:]} == {"none"}
    assert all(row[name] is None for row in rows[-5:] for name in ("number", "text", "boolean", "instant"))


def test_rows_carry_key_unit_and_clock(rows):
    assert {(row["extractor"], row["extractor_version"], row["extracted_at"]) for row in rows} == {("mine", 3, NOW)}
    assert [row["unit"] for row in rows[:5]] == ["px", 'odd "unit"', None, None, None]
    assert [row["entity_id"] for row in rows[::5]] == [f"{number:064x}" for number in range(6)]
    assert {row["target_table"] for row in rows} == {"silver.dimensions"}
