"""The gate for people's SQL: one read-only query over known tables passes, nothing else does."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from lakehouse.config import EngineConfig, SqlConfig
from lakehouse.engines.allowed import ARRAYS, FUNCTIONS
from lakehouse.engines.gate import MAX_CHARACTERS, check_query
from lakehouse.errors import QueryRefusedError
from lakehouse.sql import user_query
from lakehouse.sql.child import close_up
from lakehouse.sql.contained import request_limits
from lakehouse.views.registry import view_texts
from schemas.tables import BY_NAME

KNOWN = frozenset({*BY_NAME, *view_texts()})
SPECIAL = frozenset({"coalesce", "if", "ifnull", "petrel_bucket"})
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


@pytest.mark.parametrize("text", ["", ";", "-- nothing", "selec 1", "select (", "select " + "(" * 3000, "select '\0'"])
def test_what_is_no_query_is_refused_as_such(text: str) -> None:
    with pytest.raises(QueryRefusedError, match="not a query|expected exactly one SELECT"):
        check_query(text, known=KNOWN)


@pytest.mark.parametrize(
    "text", ["import database '{}'", "pragma import_database('{}')", "select 1; import database '{}'"]
)
def test_looking_at_a_text_reads_no_file(tmp_path: Path, text: str) -> None:
    # DuckDB's parser itself opens the script that IMPORT DATABASE names, and would say what stands in it.
    (tmp_path / "schema.sql").write_text("hunter2 is the password", encoding="utf-8")
    (tmp_path / "load.sql").write_text("", encoding="utf-8")
    with pytest.raises(QueryRefusedError, match=r"expected exactly one SELECT, found a statement that reads a file$"):
        check_query(text.format(tmp_path), known=KNOWN)
    check_query("select 1", known=KNOWN)


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
        "copy (select 1) to 'granted://silver.entities/000000.parquet'",
        "copy (select 1) to 'granted://silver.entities/other.parquet'",
        "select * from glob('granted://*')",
        "select * from read_parquet('granted://silver.opinions/000000.parquet')",
        "set allowed_paths = ['{file}']",
        "attach '{file}.db' as other",
        "install httpfs",
        "load httpfs",
        "set enable_external_access = true",
        "select * from local_frame",
    ],
)
def test_behind_the_gate_the_engine_still_reaches_no_file(text: str, lake_root: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("a,b\n1,2\n")
    files = {path: path.read_bytes() for path in lake_root.rglob("*.parquet")}
    local_frame = pa.table({"a": [1]})
    limits = request_limits(SqlConfig(), EngineConfig())
    request = {"root": str(lake_root), "pins": {}, "scratch": str(tmp_path / "scratch"), "limits": limits}
    with duckdb.connect(":memory:") as connection:
        close_up(connection, ["entities"], request)
        with pytest.raises(duckdb.Error):
            connection.execute(text.format(file=secret, folder=tmp_path)).fetchall()
    assert [path.name for path in tmp_path.iterdir()] == ["secret.csv"]
    assert {path: path.read_bytes() for path in lake_root.rglob("*.parquet")} == files
    assert local_frame.num_rows == 1


def test_every_function_that_is_allowed_is_one_of_duckdb_and_none_is_volatile() -> None:
    with duckdb.connect(":memory:") as connection:
        rows = connection.execute("select lower(function_name), stability from duckdb_functions()").fetchall()
    unstable = {name for name, stability in rows if stability not in (None, "CONSISTENT")}
    assert FUNCTIONS & unstable == set()
    # What DuckDB's parser turns into an expression of its own, and what is ours, is no function of its catalogue.
    assert FUNCTIONS - {name for name, _ in rows} - set(ARRAYS.split()) <= SPECIAL
    assert not set(ARRAYS.split()) & {name for name, _ in rows}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (";select 1", "an empty statement before a `;`; take it out"),
        ("select 1; select 2", "expected exactly one SELECT, found 2"),
        ("drop table entities", "expected exactly one SELECT, found DROP"),
        ("select * from entities where", "not a query: syntax error at end of input"),
        ("selec 1", r'not a query: syntax error at or near "selec" \(character 1\)'),
        ("select * from silver.entities at (version => 3)", "--pin silver.entities=VERSION"),
        ("select * from entities at (version => 3)", "pin the tables that entities reads instead: --pin TABLE=VERSION"),
        ("select * from duckdb_settings()", "table functions are not allowed: duckdb_settings"),
        ("select medan(size_bytes) from entities", "function medan is not allowed in a query; did you mean `median`"),
    ],
)
def test_the_reason_names_what_is_wrong_in_one_line(text: str, reason: str) -> None:
    with pytest.raises(QueryRefusedError, match=reason) as caught:
        check_query(text, known=KNOWN)
    assert "\n" not in str(caught.value)


def test_a_semicolon_at_the_end_is_no_second_statement() -> None:
    assert check_query("select count(*) from entities ; -- done", known=KNOWN) == {"entities"}


def test_what_was_nested_without_end_is_refused() -> None:
    for text in ("select " + 20_000 * "- " + "1", "select " + "+".join(20_000 * ["1"])):
        with pytest.raises(QueryRefusedError):
            check_query(text, known=KNOWN)
