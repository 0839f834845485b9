"""One text, two engines: names, values and our functions are filled in on the syntax tree."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from lakehouse.engines.dialect import bind, literal, table_names
from lakehouse.query import fetch
from lakehouse.sql import register_views
from lakehouse.sql.saving import save_view
from schemas.canonical import bucket
from tests.making import add_entities
from tests.parity.world import opened

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# Another number for the first one changes every split of every dataset.
GOLDEN = [
    ("a", 0, 3_288_178_559_472_108),
    ("", 7, bucket("", 7)),
    ("été|'x'", 7, bucket("été|'x'", 7)),
    ("0" * 64, 2**31, bucket("0" * 64, 2**31)),
]
VALUES: list[Any] = [
    None, True, False, 0, -5, 2**62 + 1, 0.1, -1e-7, 1e22, "", "it's", "back\\slash", 'double " quote',
    "x' or 1 = 1; drop table t; --", "$other", "/* c */", "line\nend\ttab", "été 日本 🐦",
    datetime(2026, 1, 2, 3, 4, 5, 678901, UTC), datetime(1969, 12, 31, 23, 59, 59, 999999, UTC),
]


def test_tables_are_found_and_ctes_are_not() -> None:
    text = """
        with mine as (select * from silver.entities), more as (select * from mine join given using (a))
        select * from more join Entities_Wide on true where a in (select a from labels)
    """
    assert table_names(text) == {"silver.entities", "given", "entities_wide", "labels"}


def test_a_cte_hides_a_table_only_where_it_can_be_seen() -> None:
    assert table_names("with t as (select * from t) select * from t") == {"t"}
    assert table_names("with recursive t as (select 1 as n union all select n + 1 from t) select * from t") == set()
    assert table_names("select * from (with d as (select 1) select * from d) x, d") == {"d"}
    assert table_names("with e as (select 1) select * from e union all select * from e") == set()


def test_names_are_replaced_and_go_on_by_their_alias() -> None:
    text = "select e.a, labels.b from silver.entities e left join labels on labels.a = e.a"
    bound = bind(text, {"silver.entities": "r1", "labels": "r2"}, {}, dialect="duckdb")
    assert bound == "SELECT e.a, labels.b FROM r1 AS e LEFT JOIN r2 AS labels ON labels.a = e.a"


def test_what_was_not_given_is_named() -> None:
    with pytest.raises(KeyError, match="query reads `missing`, which is not among"):
        bind("select * from missing", {"other": "r1"}, {}, dialect="duckdb")
    with pytest.raises(KeyError, match=r"query needs parameter \$least, given \['most'\]"):
        bind("select * from t where a > $least", {"t": "t"}, {"most": 1}, dialect="duckdb")


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_duckdb_gives_back_the_value_that_was_bound(value: Any) -> None:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        found = connection.execute(bind("select $value as v", {}, {"value": value}, dialect="duckdb"))
        assert found.to_arrow_table().to_pylist() == [{"v": value}]


def test_another_time_zone_is_the_same_instant() -> None:
    there = datetime(2026, 1, 2, 5, 4, 5, tzinfo=timezone(timedelta(hours=2)))
    assert literal(there).sql("duckdb") == "CAST('2026-01-02 03:04:05.000000+00:00' AS TIMESTAMPTZ)"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_without_a_literal_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="no SQL literal for"):
        literal(value)


def test_a_value_of_unknown_type_is_refused() -> None:
    with pytest.raises(TypeError, match="no SQL literal for dict"):
        literal({})


LISTS = "select a in $some as is_in, a not in $some as is_out from t order by a"


def test_a_list_may_be_empty() -> None:
    with duckdb.connect() as connection:
        connection.execute("create table t as select * from (values ('x'), ('y''s')) v(a)")
        some = connection.execute(bind(LISTS, {"t": "t"}, {"some": ["y's", "z"]}, dialect="duckdb"))
        assert some.fetchall() == [(False, True), (True, False)]
        none = connection.execute(bind(LISTS, {"t": "t"}, {"some": []}, dialect="duckdb"))
        assert none.fetchall() == [(False, True), (False, True)]


def test_buckets_are_those_of_python() -> None:
    assert bucket("a", 0) == GOLDEN[0][2]
    with duckdb.connect() as connection:
        for identity, seed, expected in GOLDEN:
            text = bind("select petrel_bucket($id, $seed)", {}, {"id": identity, "seed": seed}, dialect="duckdb")
            assert connection.execute(text).fetchall() == [(expected,)]
            assert 0 <= expected < 2**52


@pytest.mark.spark
def test_spark_gives_back_values_lists_buckets_and_votes(spark: SparkSession) -> None:
    columns = ", ".join(f"$v{place} as v{place}" for place in range(len(VALUES)))
    params = {f"v{place}": value for place, value in enumerate(VALUES)}
    found = spark.sql(bind(f"select {columns}", {}, params, dialect="spark")).toArrow().to_pylist()
    assert list(found[0].values()) == VALUES

    columns = ", ".join(f"petrel_bucket($i{place}, $s{place}) as b{place}" for place in range(len(GOLDEN)))
    params = {f"{key}{n}": value for n, row in enumerate(GOLDEN) for key, value in zip("is", row[:2], strict=True)}
    found = spark.sql(bind(f"select {columns}", {}, params, dialect="spark")).toArrow().to_pylist()
    assert list(found[0].values()) == [expected for _, _, expected in GOLDEN]

    spark.sql("select * from values ('x'), (\"y's\") v(a)").createOrReplaceTempView("dialect_t")
    some = bind(LISTS, {"t": "dialect_t"}, {"some": ["y's", "z"]}, dialect="spark")
    assert spark.sql(some).toArrow().to_pylist() == [{"is_in": False, "is_out": True}, {"is_in": True, "is_out": False}]
    none = bind(LISTS, {"t": "dialect_t"}, {"some": []}, dialect="spark")
    assert spark.sql(none).toArrow().to_pylist() == 2 * [{"is_in": False, "is_out": True}]
    text = "select petrel_votes(a, 2) as votes, petrel_half('ffffffffffffffff0000000000000001', 1) as half from t"
    made = spark.sql(bind(text, {"t": "dialect_t"}, {}, dialect="spark")).toArrow().to_pylist()[0]
    assert (dict(made["votes"]), int(made["half"])) == ({"x": 2, "y's": 2}, 2**64 - 1)


KEPT = [
    "select v from t unpivot (v for n in (a, b))",
    "select * from t pivot (count(a) for b in ('x', 'y'))",
    "select x, y from t as u(x, y)",
    "select s.t.b from s.t where s.t.a = 'x'",
    "select * from t, lateral (select t.a as z) l, unnest([1, 2]) as u(i)",
    "select * from t a left join (t b cross join t c) on a.a = b.a",
    "select a from t where a in (select a from t b where b.b = t.b) order by a",
]
"""Texts with something behind a table's name."""


@pytest.mark.parametrize("text", KEPT)
def test_what_stands_behind_the_name_of_a_table_stays_there(text: str) -> None:
    with duckdb.connect() as connection:
        connection.execute("create table r1 as select * from (values ('x', 'y'), ('z', 'y')) v(a, b)")
        connection.execute("create schema s; create view s.t as from r1; create view t as from r1")
        found = connection.execute(bind(text, {"t": "r1", "s.t": "r1"}, {}, dialect="duckdb")).fetchall()
        assert sorted(found) == sorted(connection.execute(text).fetchall())


@pytest.mark.parametrize("text", ["select * from t at (version => 3)", "select * from t using sample 1"])
def test_a_version_or_a_sample_of_a_table_never_vanishes(text: str) -> None:
    assert re.search("version|sample", bind(text, {"t": "r1"}, {}, dialect="duckdb"), re.IGNORECASE)


def test_what_cannot_be_taken_apart_is_an_error() -> None:
    with pytest.raises(ValueError, match="cannot take apart"):
        bind("vacuum t", {"t": "r1"}, {}, dialect="duckdb")


def test_what_the_other_dialect_has_no_words_for_is_an_error() -> None:
    with pytest.raises(ValueError, match="spark has no words for a part of this query"):
        bind("select a from t for update", {"t": "r1"}, {}, dialect="spark")


def test_a_text_that_is_bound_again_has_the_names_and_values_of_this_time() -> None:
    text = 'select a.x, $v as v from a join "b c" on a.x = "b c".x where a.x in (select x from a)'
    times = [
        ("r1", 1, "1"), ("r2", 1, "1"), ("s.t", True, "TRUE"), ("r1", "1", "'1'"), ("r1", 1.0, "CAST(1.0 AS DOUBLE)"),
    ]  # fmt: skip
    for a, value, written in times:
        bound = bind(text, {"a": a, "b c": '"odd name"'}, {"v": value}, dialect="duckdb")
        assert bound.count(f"{a} AS a") == 2
        assert '"odd name" AS "b c"' in bound
        assert f"{written} AS v" in bound
    with pytest.raises(KeyError, match="reads `a`, which is not among"):
        bind(text, {"b c": "x"}, {"v": 1}, dialect="duckdb")
    with pytest.raises(KeyError, match=r"needs parameter \$v"):
        bind(text, {"a": "x", "b c": "x"}, {}, dialect="duckdb")


def test_texts_and_values_that_look_like_our_stand_ins_stay_as_they_are() -> None:
    name = "petrel_name_0_"
    for text, params in ((f"select '{name}' as x from a", {}), ("select $x as x from a", {"x": name})):
        assert bind(text, {"a": "r1"}, params, dialect="duckdb") == "SELECT 'petrel_name_0_' AS x FROM r1 AS a"


SHOTS = "select shot, frame, x from t where x in (6, 10)"
BEYOND_DUCKDB = [
    f"{SHOTS} expand by 1, 2 across shot order frame",
    "select shot, frame, nullif(x, 6) as y from t group across shot order frame",
    f"{SHOTS} expand by 1, 1 across shot order frame group across shot order frame ungroup by frame, x",
    "select 1 as a, range(0, shot) as b from t where frame = 0 ungroup by b",
    "select x from t order by x desc limit 30 percent offset 2",
    "with u as (select x from t order by x limit 50%) select count(*) as n, max(x) as m from u",
    "select ? + x as y from t where x = ? or x = ? order by x",
]


@pytest.mark.spark
def test_clauses_of_ours_and_saved_views_are_the_same_on_both_engines(spark: SparkSession, tmp_path: Path) -> None:
    rows = pa.table({"shot": [i // 5 for i in range(15)], "frame": [i % 5 for i in range(15)], "x": range(15)})
    found = {}
    for engine in ("embedded", "spark"):
        with opened(tmp_path / "lake", engine) as lake:
            if engine == "embedded":
                add_entities(lake, ["one", "two"])
                save_view(lake, "small", "select * from entities order by size_bytes limit 50 percent")
                save_view(lake, "smaller", "select entity_id from small where size_bytes > 0")
            given = {"t": lake.engine.from_arrow(rows)}
            found[engine] = [
                fetch(lake, text, inputs=given, params=[1, 3, 4] if "?" in text else None) for text in BEYOND_DUCKDB
            ]
            text = "select nd_shape($x) as s, nd_sum($x) as t"
            found[engine].append(fetch(lake, text, params={"x": np.ones((2, 3))}))
            found[engine].append(fetch(lake, "select count(*) as n from smaller"))
    assert found["embedded"] == found["spark"]
    assert found["embedded"][-1] == [{"n": 1}]
    names = register_views(spark, tmp_path / "lake")
    assert spark.sql(f"select count(*) as n from {names['smaller']}").toArrow().to_pylist() == [{"n": 1}]
