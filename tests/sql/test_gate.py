"""The gate for people's SQL: one read-only query over known tables passes, nothing else does."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakehouse.errors import QueryFailedError, QueryRefusedError
from lakehouse.sql import user_query
from lakehouse.sql.gate import MAX_CHARACTERS, check_query
from lakehouse.sql.views import view_texts
from schemas.tables import BY_NAME

KNOWN = frozenset({*BY_NAME, *view_texts()})
TEXTS = Path(__file__).parent


def corpus(name: str) -> list[str]:
    """Statements of a file: separated by blank lines, so that they may hold anything else."""
    return (TEXTS / name).read_text(encoding="utf-8").strip().split("\n\n")


@pytest.mark.parametrize("text", corpus("attacks.sql"))
def test_an_attack_is_refused(text: str) -> None:
    with pytest.raises(QueryRefusedError):
        check_query(text, known=KNOWN)


@pytest.mark.parametrize("text", corpus("legitimate.sql"))
def test_a_legitimate_query_passes(text: str) -> None:
    check_query(text, known=KNOWN)


def test_there_are_enough_of_both() -> None:
    assert len(corpus("attacks.sql")) >= 100
    assert len(corpus("legitimate.sql")) >= 30


@pytest.mark.parametrize("text", ["", ";", "-- nothing", "selec 1", "select (", "select " + "(" * 3000])
def test_what_is_no_query_is_refused_as_such(text: str) -> None:
    with pytest.raises(QueryRefusedError, match="not a query|expected exactly one SELECT"):
        check_query(text, known=KNOWN)


def test_a_text_without_end_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(QueryRefusedError, match=r"the limit is 65,536"):
        check_query("select " + " " * MAX_CHARACTERS + "1", known=KNOWN)


def test_the_message_says_what_was_meant() -> None:
    with pytest.raises(QueryRefusedError, match="no table or view `entitys`; did you mean `entities`"):
        check_query("select * from entitys", known=KNOWN)


def test_a_name_that_only_a_cte_elsewhere_defines_is_not_known() -> None:
    check_query("with mine as (select 1 as a) select * from mine", known=KNOWN)
    with pytest.raises(QueryRefusedError, match="duckdb_tables"):
        check_query("select * from (with duckdb_tables as (select 1) select 1) x, duckdb_tables", known=KNOWN)
    with pytest.raises(QueryRefusedError, match="passwd"):
        check_query('select (with "/etc/passwd" as (select 1) select 1), * from "/etc/passwd"', known=KNOWN)


def test_a_query_gives_rows_and_binds_its_parameters(lake_root: Path) -> None:
    text = "select count(*) as n from Entities where size_bytes >= $least and media_type = $kind"
    found = user_query(lake_root, text, params={"least": 3, "kind": "text/plain"})
    assert found.to_pylist() == [{"n": 3}]
    hostile = "x' or 1 = 1; drop table entities; --"
    assert user_query(lake_root, text, params={"least": 0, "kind": hostile}).to_pylist() == [{"n": 0}]


def test_a_cte_may_bear_the_name_of_what_it_reads(lake_root: Path) -> None:
    text = "with entities as (select * from entities where size_bytes > 3) select count(*) as n from entities"
    assert user_query(lake_root, text).to_pylist() == [{"n": 1}]


@pytest.mark.parametrize(
    "text",
    [
        "select * from read_text('{file}')",
        "select * from read_csv('{file}')",
        "select * from '{file}'",
        'select * from "{file}"',
        "select * from glob('{folder}/*')",
        "copy (select 1) to '{file}.out'",
        "attach '{file}.db' as other",
        "install httpfs",
        "load httpfs",
        "set enable_external_access = true",
        "select * from local_frame",
    ],
)
def test_behind_the_gate_the_engine_still_reaches_no_file(
    text: str, lake_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("a,b\n1,2\n")
    monkeypatch.setattr("lakehouse.sql.session.check_query", lambda text, known: None)
    monkeypatch.setattr("lakehouse.sql.session.table_names", lambda text: ())
    monkeypatch.setattr("lakehouse.sql.session.bind", lambda text, names, params, dialect: text)
    with pytest.raises(QueryFailedError):
        user_query(lake_root, text.format(file=secret, folder=tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["secret.csv"]
