"""What SQL has beyond DuckDB's: slices of arrays and weighted samples; texts of DuckDB's own stay as they are."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import duckdb
import pytest

from lakehouse.engines.plain import plain
from lakehouse.errors import QueryFailedError, QueryRefusedError
from lakehouse.sql import user_query
from lakehouse.sql.session import MACROS
from tests.making import add_entities, small_lake

TEXTS = Path(__file__).parents[1] / "sql"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("select x[10:20, :, 0] from t", "select nd_slice(x, '10:20, :, 0') from t"),
        ("select t.x[a + 1:, ::-1, ...] from t", "select nd_slice(t.x, '?:, ::-1, ...', a + 1) from t"),
        ("select f(x, 1)[1:, ][0, -1]", "select nd_slice(nd_slice(f(x, 1), '1:, '), '0, -1')"),
        ('select "a [b"[i[1], y[0, 1]], data[:, 0]', "select nd_slice(\"a [b\", '?, ?', i[1], nd_slice(y, '0, 1')), "
         "nd_slice(data, ':, 0')"),
        ("select $x[$a:, 0], if(a, b)[0, 1]", "select nd_slice($x, '?:, 0', $a), nd_slice(if(a, b), '0, 1')"),
        ("select é[0, 1], 'x[0, 1]' /* y[0, 1] */", "select nd_slice(é, '0, 1'), 'x[0, 1]' /* y[0, 1] */"),
    ],
)
def test_a_slice_with_a_comma_becomes_a_call(text: str, said: str) -> None:
    assert plain(text) == said


@pytest.mark.parametrize(
    "text",
    [
        "select [1, 2], x[1], x[1:2], array[1, 2] from t where a in [1, 2] order by [a, b]",
        "select list_transform([1, 2], lambda x: [x, 1]), {'a': [1, 2]}['a'] from t",
        "select [a for a in l if [a, 1] = [1, 2]] from t qualify [1, 2] = [a, b]",
        "select sample by_name from sample",
        "select expand, ungroup as across from t group by expand, ungroup order by expand",
        *(TEXTS / "legitimate.sql").read_text(encoding="utf-8").strip().split("\n\n"),
        *(TEXTS / "questions.sql").read_text(encoding="utf-8").strip().split("\n\n"),
    ],
)
def test_what_duckdb_reads_stays_as_it_is(text: str) -> None:
    assert plain(text) == text


@pytest.mark.parametrize(
    "text", ["[" * 30_000 + "1, 2", "[" * 20_000 + "1, 2" + "]" * 20_000, "x" + "[1]" * 20_000 + "[0, 1]"]
)
def test_a_text_of_brackets_alone_takes_no_longer_than_others(text: str) -> None:
    # By pairs of brackets it would take minutes.
    assert len(plain(f"select {text}")) >= len(text)


def test_a_text_of_very_many_slices_is_refused() -> None:
    with pytest.raises(QueryRefusedError, match="1,001 slices; the limit is 1,000"):
        plain("select " + " + ".join(1001 * ["x[0, 1]"]))


@pytest.mark.parametrize(
    ("tail", "message"),
    [
        ("sample by w", "needs a seed and how many rows"),
        ("sample by w limit 3", "needs a seed"),
        ("sample by seed 3 limit 3", "needs a weight"),
        ("sample by w seed -1 limit 3", "needs a seed"),
    ],
)
def test_a_sample_that_is_not_whole_is_refused_with_its_form(tail: str, message: str) -> None:
    with pytest.raises(QueryRefusedError, match=message):
        plain(f"select * from t {tail}")


def test_a_sample_follows_weights_is_the_same_each_time_and_is_gated(tmp_path: Path) -> None:
    root = tmp_path / "lake"
    with small_lake(root) as lake:
        add_entities(lake, ["one"])
    weight = "case when i < 10 then 9.0 when i < 100 then 1.0 else 0 end"
    numbers = f"select i, {weight} as w from (select unnest(range(200)) as i)"
    once = f"{numbers} sample by w key i seed 5 limit 50"
    drawn = [row["i"] for row in user_query(root, once).to_pylist()]
    assert drawn == [row["i"] for row in user_query(root, once).to_pylist()]
    assert len(set(drawn)) == 50
    assert max(drawn) < 100
    assert len([i for i in drawn if i < 10]) >= 8
    again = user_query(root, f"{numbers} sample by w with replacement key i seed 5 limit 1800").to_pylist()
    counts = Counter(row["i"] for row in again)
    assert (len(again), set(again[0])) == (1800, {"i", "w"})
    assert 750 < sum(counts[i] for i in range(10)) < 1050  # 90 of 180 parts
    assert max(counts) < 100
    assert user_query(root, f"{numbers} sample by w key i seed 5 limit 500").num_rows == 100
    odd = "case i when 0 then 1 when 1 then 'nan'::double when 2 then 'inf'::double when 3 then -1 end as w"
    odd = f"select i, {odd} from (select unnest(range(9)) as i)"
    for how in ("", "with replacement"):
        found = user_query(root, f"{odd} sample by w {how} key i seed 5 limit 4").to_pylist()
        assert {row["i"] for row in found} == {0}
        with pytest.raises(QueryFailedError, match="7 is the key of several rows: SAMPLE BY needs a KEY"):
            user_query(root, f"select i, 7 as same from ({numbers}) sample by 1 {how} key same seed 5 limit 4")
    with pytest.raises(QueryRefusedError, match="read_text"):
        user_query(root, "select * from read_text('/etc/passwd') sample by 1 key content seed 1 limit 1")


SHOTS = "(select i // 5 as shot, i % 5 as frame, i as x from (select unnest(range(15)) as i))"
BY_FRAME = f"select shot, frame, x from {SHOTS} as s where x in (6, 10)"


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        (f"{BY_FRAME} expand by 1, 2 across shot order frame",
         [(1, 0, 5), (1, 1, 6), (1, 2, 7), (1, 3, 8), (2, 0, 10), (2, 1, 11), (2, 2, 12)]),
        (f"select x from {SHOTS} as s where x % 7 = 0 and s.shot is distinct from 9 expand by 0, 1 order by x",
         [(0,), (1,), (7,), (8,), (14,)]),
        (f"{BY_FRAME} expand by 1, 0 across shot order frame group across shot order frame",
         [(1, [0, 1], [5, 6]), (2, [0], [10])]),
        (f"select shot, frame, nullif(x, 6) as y from {SHOTS} group across shot order frame sample by shot key shot"
         " seed 1 limit 9 ungroup by frame, y", [(1, 0, 5), (1, 1, None), *((1, i, 5 + i) for i in range(2, 5)),
                                          *((2, i, 10 + i) for i in range(5))]),
        ("select 1 as a, [] as b, [1, 2] as c ungroup by b", []),
    ],
)  # fmt: skip
def test_neighbours_and_sequences(text: str, rows: list[tuple[object, ...]]) -> None:
    with duckdb.connect(":memory:") as connection:
        connection.execute(MACROS[0])
        found = connection.execute(plain(text)).fetchall()
    assert found == rows if "sample" not in text else sorted(found, key=lambda row: row[:2]) == rows


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("select x from t expand by 1, 2 order x", "behind one SELECT with a WHERE"),
        ("select x from t where x > 1 expand by 1 order x", "how many rows before and after"),
        ("select x from t where x > 1 expand by 1, 2", "one ORDER column is wanted"),
        ("select x from t where x > 1 limit 3 expand by 1, 2 order x", "a condition alone, found LIMIT"),
        ("select distinct x from t where x > 1 expand by 1, 1 order x", "found DISTINCT"),
        ("select x from t where x > 1 expand by 1, 2000000 order x", "at most 1,000,000 rows"),
        ("select v, x from t group across v order x expand by 1, 1 order v", "is the first clause"),
        ("select * from t group across v order x", r"give `\*` one with `as`"),
        ("select v, x + 1 from t group across v order x", r"give `x \+ 1` one with `as`"),
        ("select v, x from t group across v", "one ORDER column is wanted"),
        ("select v, x from t group across w order x", "gives no column w"),
        ("select v, x from t group across v order v", "another ORDER column"),
        ("select v from t ungroup by", "needs the columns to take apart"),
        ("expand by 1, 1", "stands behind a query"),
    ],
)
def test_a_clause_that_is_not_whole_is_refused_with_its_form(text: str, message: str) -> None:
    with pytest.raises(QueryRefusedError, match=message):
        plain(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("select 1 as v, 2 as x, unnest([1, 2]) as y group across v order x", "2 is the key of several rows: GROUP"),
        ("select 1 as v, null as x, unnest([1, 2]) as y group across v order x", "null is the key of several rows"),
        ("select 1 as x from (select unnest([1, 2])) where true expand by 1, 1 order x", "several rows: EXPAND BY"),
        ("select [1, 2] as a, [1] as b ungroup by a, b", "2 values in a, in the others of UNGROUP BY another number"),
        ("select null::int[] as a, [1] as b ungroup by a, b", "no values in a, in the others of UNGROUP BY another"),
    ],
)
def test_where_order_or_lengths_do_not_say_what_is_meant_the_query_fails(text: str, message: str) -> None:
    with duckdb.connect(":memory:") as connection, pytest.raises(duckdb.ConversionException, match=message):
        connection.execute(plain(text)).fetchall()
