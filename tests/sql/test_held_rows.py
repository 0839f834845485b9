"""Rows held for people who look: pages, filters and histograms against DuckDB's own answers and plain Python."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from lakehouse.errors import ConfigError, QueryFailedError
from lakehouse.sql.held_rows import BINS, WORDS, Filter, HeldRows

START = datetime(2026, 1, 1, tzinfo=UTC)
NUMBERS = [0.0, 1.0, 2.0, 3.0, None, math.nan, math.inf, 10.0]
ROWS = pa.table({
    "entity_id": [f"e{place}" for place in range(8)],
    "light": pa.array(NUMBERS, pa.float64()),
    "site": ["a", "a", "b", None, "b", "a", "c", "a"],
    "sharp": [True, False, None, True, True, False, True, True],
    "seen": [START + timedelta(days=place) for place in range(8)],
    'od"d': [["x"]] * 8,
})  # fmt: skip


@pytest.fixture(params=["memory", "file"])
def rows(request, tmp_path):
    folder = tmp_path / "held" if request.param == "file" else None
    held = HeldRows(ROWS.schema, ROWS.to_batches(max_chunksize=3), folder=folder)
    yield held
    held.close()
    assert folder is None or list(folder.iterdir()) == []


def ids(rows: HeldRows, filters: dict[str, Filter] | None = None, **how: object) -> str:
    return "".join(row["entity_id"][1:] for row in rows.page(filters, **how))  # type: ignore[arg-type]


def test_rows_come_in_the_order_of_the_answer_page_by_page(rows):
    assert ids(rows) == "01234567"
    assert ids(rows, offset=3, limit=2) == "34"
    assert rows.page(limit=1)[0] == {
        "entity_id": "e0", "light": 0.0, "site": "a", "sharp": True, "seen": "2026-01-01T00:00:00+00:00", 'od"d': ["x"],
    }  # fmt: skip
    assert rows.page(offset=5, limit=1)[0]["light"] == "nan"


def test_rows_are_ordered_by_a_column_those_without_a_value_last(rows):
    assert ids(rows, order="site") == "01572463"
    assert ids(rows, order="site", descending=True) == "62401573"


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"light": Filter(low=1)}, "1237"),
        ({"light": Filter(low=1, high=3)}, "12"),
        ({"light": Filter(low=1, high=3, closed=True)}, "123"),
        ({"site": Filter(values=("a", None))}, "01357"),
        ({"site": Filter(values=(None,))}, "3"),
        ({"sharp": Filter(values=(True,))}, "03467"),
        ({"seen": Filter(high=(START + timedelta(days=2)).timestamp())}, "01"),
        ({"light": Filter(low=1), "site": Filter(values=("a",))}, "17"),
        ({"site": Filter(values=("a' or true --",))}, ""),
    ],
)
def test_filters_leave_what_they_say(rows, filters, found):
    assert ids(rows, filters) == found
    assert rows.count(filters) == len(found)


def test_bars_of_numbers_count_every_finite_row_once_and_the_last_holds_the_greatest(rows):
    (facet,) = rows.facets(columns=["light"])
    assert (sum(bar.rows for bar in facet.bars), facet.missing, facet.others) == (5, 1, 2)
    assert (facet.bars[0].low, facet.bars[-1].high, facet.bars[-1].rows) == (0.0, 10.0, 1)
    for bar in facet.bars:
        closed = bar is facet.bars[-1]
        assert rows.count({"light": Filter(low=bar.low, high=bar.high, closed=closed)}) == bar.rows


def test_a_facet_counts_what_passes_the_filters_of_the_other_columns(rows):
    filters = {"site": Filter(values=("a",)), "light": Filter(low=1)}
    site, light = rows.facets(filters, columns=["site", "light"])
    assert {bar.value: bar.rows for bar in site.bars} == {"a": 2, "b": 1}
    assert (site.missing, sum(bar.rows for bar in light.bars)) == (1, 3)


def test_many_values_are_counted_together_and_what_is_an_id_has_no_facet():
    words = [f"w{place % 30}" for place in range(90)]
    ids = [str(place) for place in range(90)]
    table = pa.table({"entity_id": ids, "word": words, "none": pa.nulls(90, pa.string())})
    held = HeldRows(table.schema, table.to_batches())
    (facet,) = held.facets()
    assert facet.column == "word"
    assert (len(facet.bars), facet.others, facet.bars[0].rows) == (WORDS, 90 - 3 * WORDS, 3)


@pytest.mark.parametrize("span", [(0.0, 0.0), (-1e308, 1e308), (1e15, 1e15 + 1), (2**63 - 1, 2**63 - 2)])
def test_bars_of_odd_spans_lose_no_row(span):
    table = pa.table({"n": [*span, span[0]]})
    (facet,) = HeldRows(table.schema, table.to_batches()).facets(columns=["n"])
    assert sum(bar.rows for bar in facet.bars) == 3
    assert len(facet.bars) <= BINS


def test_wrong_filters_and_columns_are_errors(rows):
    with pytest.raises(ConfigError, match="did you mean `light`"):
        rows.count({"ligth": Filter(low=1)})
    with pytest.raises(ConfigError, match="column site holds text"):
        rows.count({"site": Filter(low=1)})
    with pytest.raises(ConfigError, match="no column"):
        rows.page(order="light; drop table held")
    twice = pa.table([pa.array([1]), pa.array([2])], names=["a", "A"])
    with pytest.raises(QueryFailedError, match="two columns"):
        HeldRows(twice.schema, twice.to_batches())
    named = pa.table({"rowid": [7]})
    with pytest.raises(QueryFailedError, match="called rowid"):
        HeldRows(named.schema, named.to_batches())


def test_rows_in_a_file_take_no_more_memory_than_they_may_and_go_when_nobody_holds_them(tmp_path):
    table = pa.table({"entity_id": [f"{place:064x}" for place in range(40_000)], "n": range(40_000)})
    batches = [table.to_batches()[0]] * 40
    with pytest.raises(QueryFailedError, match="do not fit into 32 MB"):
        HeldRows(table.schema, batches, memory_mb=32)
    held = HeldRows(table.schema, batches, memory_mb=32, folder=tmp_path)
    assert held.count({"n": Filter(low=39_999)}) == 40
    assert held.page(offset=1_599_999) == [{"entity_id": f"{39_999:064x}", "n": 39_999}]
    del held
    assert list(tmp_path.iterdir()) == []


def test_a_column_that_is_filtered_is_told_also_where_nothing_is_left_of_it(rows):
    """Else its filter could neither be seen nor taken away."""
    nothing = {"light": Filter(low=100), "site": Filter(values=("a",)), "entity_id": Filter(values=("e1",))}
    assert {each.column for each in rows.facets(nothing)} >= {"entity_id", "light", "site"}
    assert "site" not in {each.column for each in rows.facets({"light": Filter(low=100)})}
