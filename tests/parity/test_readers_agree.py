"""The same questions to Spark SQL, to DuckDB with the extension and to DuckDB with the fallback."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import lakehouse.sql
from lakehouse.engines.dialect import bind, table_names
from lakehouse.engines.gate import check_query
from lakehouse.tables.read import head
from lakehouse.views.registry import DOCS, ordered_views, view_texts
from schemas.tables import BY_NAME, ENTITIES, OPINIONS
from tests.parity.conftest import Made

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Rows = list[dict[str, Any]]
QUERIES = sorted((Path(__file__).parent / "queries").glob("*.sql"))
CONTRACT = ("entities", "entities_wide", "opinions", "current_opinions", "labels", "datasets", "members")


def duckdb_rows(root: Path, text: str, *, extension: bool, pins: dict[str, int] | None = None) -> Rows:
    """Ask DuckDB."""
    with lakehouse.sql.connect(root, extension=extension, pins=pins) as connection:
        bound = bind(text, {name: name for name in table_names(text)}, {}, dialect="duckdb")
        return plain(connection.execute(bound).to_arrow_table().to_pylist())


def plain(rows: Rows) -> Rows:
    """Values as all engines write them: maps as dicts, decimals as floats."""
    return [{name: _plain(value) for name, value in row.items()} for row in rows]


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, list) and value and all(isinstance(item, tuple) for item in value):
        return dict(value)
    return value


def assert_equal(found: Rows, expected: Rows) -> None:
    """Floats agree to 1e-9, everything else exactly."""
    assert len(found) == len(expected)
    for place, (left, right) in enumerate(zip(found, expected, strict=True)):
        assert left.keys() == right.keys()
        for name, value in left.items():
            other = right[name]
            if isinstance(value, float) and isinstance(other, float):
                assert math.isclose(value, other, rel_tol=1e-9, abs_tol=1e-12), (place, name, value, other)
            else:
                assert value == other, (place, name, value, other)


def test_there_are_six_queries_over_the_views_that_people_use() -> None:
    assert len(QUERIES) == 6
    read = set().union(*(table_names(path.read_text(encoding="utf-8")) for path in QUERIES))
    assert set(CONTRACT) - {"datasets"} <= read


@pytest.mark.parametrize("path", QUERIES, ids=lambda path: path.stem)
def test_duckdb_answers_alike_with_and_without_its_extension(path: Path, embedded: Made) -> None:
    text = path.read_text(encoding="utf-8")
    check_query(text, known={*BY_NAME, *view_texts()})
    with_extension = duckdb_rows(embedded.root, text, extension=True)
    assert with_extension
    assert_equal(duckdb_rows(embedded.root, text, extension=False), with_extension)


def test_every_view_is_described_and_comes_after_what_it_reads() -> None:
    names = [name for name, _ in ordered_views()]
    assert set(CONTRACT) <= set(names) == set(view_texts())
    assert {name for name in DOCS} <= set(names)
    for name, text in ordered_views():
        assert all(names.index(read) < names.index(name) for read in table_names(text) if read in names)


def test_a_pinned_connection_shows_the_lake_as_it_was(embedded: Made) -> None:
    first = {OPINIONS.name: head(embedded.root, OPINIONS) - 1}
    count = "select count(*) as n from current_opinions"
    for extension in (True, False):
        now = duckdb_rows(embedded.root, count, extension=extension)[0]["n"]
        assert duckdb_rows(embedded.root, count, extension=extension, pins=first)[0]["n"] == now - 24 == 48


def test_names_are_loaded_when_they_are_used() -> None:
    assert set(lakehouse.sql.__all__) == {"connect", "register_views", "user_query"}
    with pytest.raises(AttributeError, match="no attribute 'conect'"):
        _ = lakehouse.sql.conect


@pytest.mark.spark
def test_spark_answers_like_duckdb(spark: SparkSession, embedded: Made) -> None:
    ask = spark_session(spark, embedded.root)
    for path in QUERIES:
        text = path.read_text(encoding="utf-8")
        assert_equal(ask(text), duckdb_rows(embedded.root, text, extension=True))


@pytest.mark.spark
def test_every_view_has_the_same_rows_in_spark(spark: SparkSession, embedded: Made) -> None:
    ask = spark_session(spark, embedded.root)
    with lakehouse.sql.connect(embedded.root) as connection:
        for name in view_texts():
            found = connection.execute(f"select * from {name}").to_arrow_table().to_pylist()
            assert_equal(_sorted(ask(f"select * from {name}")), _sorted(plain(found)))


@pytest.mark.spark
def test_views_in_spark_can_be_pinned_and_have_the_names_of_duckdb(spark: SparkSession, embedded: Made) -> None:
    names = lakehouse.sql.register_views(spark, embedded.root, pins={OPINIONS.name: head(embedded.root, OPINIONS) - 1})
    assert set(names) == {*BY_NAME, *view_texts()}
    assert names[ENTITIES.name] == "silver_entities"
    assert spark.sql("select count(*) from current_opinions").first()[0] == 48  # type: ignore[index]


def spark_session(spark: SparkSession, root: Path) -> Callable[[str], Rows]:
    """Return a function that asks Spark in the shared dialect."""
    names = lakehouse.sql.register_views(spark, root)

    def ask(text: str) -> Rows:
        return plain(spark.sql(bind(text, names, {}, dialect="spark")).toArrow().to_pylist())

    return ask


def _sorted(rows: Rows) -> Rows:
    def key(row: dict[str, Any]) -> str:
        # Floats may differ in their last digit: they do not decide the order.
        return repr([(name, value) for name, value in row.items() if not isinstance(value, float | datetime)])

    return sorted(rows, key=key)
