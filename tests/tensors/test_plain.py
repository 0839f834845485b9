"""What SQL has beyond DuckDB's: slices of arrays and weighted samples; texts of DuckDB's own stay as they are."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from lakehouse.engines.plain import plain
from lakehouse.errors import QueryFailedError, QueryRefusedError
from lakehouse.sql import user_query
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
        ("sample by w seed 1 limit 2 sample by w seed 1 limit 2", "stands once"),
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
