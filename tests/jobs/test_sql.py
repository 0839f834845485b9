"""`petrel sql`: read-only questions, three forms of answers."""

from __future__ import annotations

import io
import json

import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from jobs.cli import main


def ask(capsys, lake, *arguments):
    code = main(["sql", "--lake", str(lake), *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_table_is_aligned_and_counts_its_rows(shared_lake, capsys):
    code, out, _ = ask(capsys, shared_lake, "select label, count(*) as n from labels group by label order by label")
    assert code == 0
    assert out == "label   n\n------  -\ncircle  3\nsquare  3\n(2 rows)\n"


def test_json_gives_one_object_a_line(shared_lake, capsys):
    _, out, _ = ask(
        capsys, shared_lake, "select label, votes from labels order by label limit 1", "--format", "json"
    )
    assert json.loads(out) == {"label": "circle", "votes": 1}


def test_parameters_are_values_and_never_sql(shared_lake, capsys):
    text = "select count(*) as n from labels where label = $label"
    assert ask(capsys, shared_lake, text, "--param", "label=square", "--format", "json")[1] == '{"n": 3}\n'
    hostile = "label=x' or '1'='1"
    assert ask(capsys, shared_lake, text, "--param", hostile, "--format", "json")[1] == '{"n": 0}\n'


def test_a_pinned_version_is_read_as_it_was(shared_lake, capsys):
    text = "select count(*) as n from silver.entities"
    assert ask(capsys, shared_lake, text, "--format", "json")[1] == '{"n": 6}\n'
    assert ask(capsys, shared_lake, text, "--pin", "silver.entities=0", "--format", "json")[1] == '{"n": 0}\n'


def test_fewer_rows_than_there_are_is_said_on_stderr(shared_lake, capsys):
    _, out, err = ask(capsys, shared_lake, "select entity_id from entities", "--limit", "2", "--format", "json")
    assert len(out.splitlines()) == 2
    assert "the first 2 rows are shown, there are more" in err
    assert ask(capsys, shared_lake, "select entity_id from entities", "--limit", "6")[2] == ""


def test_the_query_comes_from_stdin_when_it_is_a_dash(shared_lake, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("select 1 as one from entities limit 1"))
    assert ask(capsys, shared_lake, "-", "--format", "json")[1] == '{"one": 1}\n'


def test_views_are_listed_with_what_a_row_is(shared_lake, capsys):
    _, out, _ = ask(capsys, shared_lake, "--views")
    for name in ("silver.entities", "entities_wide", "current_opinions", "labels", "members"):
        assert name in out


@pytest.mark.parametrize(
    "text",
    [
        "drop table silver.entities",
        "select * from read_csv('/etc/passwd')",
        "copy (select 1) to '/tmp/x'",
        "select 1; select 2",
        "select getenv('HOME')",
    ],
)
def test_anything_but_a_read_only_query_is_refused_in_one_line(shared_lake, capsys, text):
    code, out, err = ask(capsys, shared_lake, text)
    assert (code, out) == (1, "")
    assert err.startswith("petrel: QueryRefusedError: ")


def test_a_parameter_without_a_value_is_named(shared_lake, capsys):
    code, _, err = ask(capsys, shared_lake, "select $least as least from entities")
    assert code == 1
    assert "$least" in err


def test_a_query_that_fails_tells_why(shared_lake, capsys):
    code, _, err = ask(capsys, shared_lake, "select no_such_column from entities")
    assert code == 1
    assert "no_such_column" in err


def test_no_lake_is_an_error_that_names_the_folder(tmp_path, capsys):
    code, _, err = ask(capsys, tmp_path / "nowhere", "select 1 as one from entities")
    assert code == 1
    assert "nowhere" in err
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("text", ["007", "1_000", "nan", "inf", "12e3456", "1e400", "9" * 40, " 1"])
def test_a_parameter_that_is_not_written_as_a_number_stays_text(shared_lake, capsys, text):
    code, out, _ = ask(capsys, shared_lake, "select $p as p", "--param", f"p={text}", "--format", "json")
    assert (code, json.loads(out)) == (0, {"p": text})


def test_a_parameter_that_is_written_as_a_number_is_one(shared_lake, capsys):
    given = ["--param", "a=-12", "--param", "b=0.5", "--param", "c=2e3"]
    _, out, _ = ask(capsys, shared_lake, "select $a as a, $b as b, $c as c", *given, "--format", "json")
    assert json.loads(out) == {"a": -12, "b": 0.5, "c": 2000.0}


@pytest.mark.parametrize("pin", ["silver.entitys=0", "entities=0"])
def test_a_pin_of_what_is_no_table_is_refused_and_not_ignored(shared_lake, capsys, pin):
    code, out, err = ask(capsys, shared_lake, "select count(*) as n from entities", "--pin", pin)
    assert (code, out) == (1, "")
    assert "did you mean `silver.entities`?" in err


def test_numbers_that_json_has_not_become_text(shared_lake, capsys):
    text = "select 'nan'::double as a, ['inf'::double, 1] as b"
    _, out, _ = ask(capsys, shared_lake, text, "--format", "json")

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    assert json.loads(out, parse_constant=refuse) == {"a": "nan", "b": ["inf", 1.0]}


def test_what_csv_has_no_form_for_becomes_text(shared_lake, capsys):
    code, out, _ = ask(capsys, shared_lake, "select interval 2 days as i, [1, 2] as l", "--format", "csv")
    assert code == 0
    assert "[1, 2]" in out


def test_two_columns_of_one_name_are_refused_in_every_form(shared_lake, capsys):
    for form in ("table", "json", "csv"):
        code, out, err = ask(capsys, shared_lake, "select 1 as a, 2 as a", "--format", form)
        assert (code, out) == (1, "")
        assert "two columns are called a" in err


def test_a_negative_limit_is_refused(shared_lake, capsys):
    assert ask(capsys, shared_lake, "select 1 as a", "--limit", "-1")[0] == 1


def test_a_table_whose_file_is_gone_is_told_in_one_line(lake_folder, capsys):
    for part in (lake_folder / "tables" / "silver" / "entities").glob("*.parquet"):
        part.unlink()
    code, _, err = ask(capsys, lake_folder, "select min(size_bytes) as least from entities")
    assert code == 1
    assert err.startswith("petrel: TableError: silver.entities: ")
    assert err.count("\n") == 1


def test_json_is_json_whichever_way_it_is_asked_for(shared_lake, capsys):
    assert ask(capsys, shared_lake, "select 1 as one", "--json")[1] == '{"one": 1}\n'
    assert ask(capsys, shared_lake, "select 1 as one", "--json", "--format", "csv")[0] == 1


@pytest.mark.parametrize("ending", ["parquet", "csv", "json", "jsonl"])
def test_all_rows_go_into_a_file(shared_lake, capsys, tmp_path, ending):
    target = tmp_path / f"rows.{ending}"
    text = "select label, size_bytes from entities e join labels l on l.subject_id = e.entity_id order by entity_id"
    code, out, err = ask(capsys, shared_lake, text, "--output", str(target))
    assert (code, out) == (0, "")
    assert "6 rows written" in err
    found = {
        "parquet": lambda: pq.read_table(target).to_pylist(),
        "csv": lambda: pyarrow.csv.read_csv(target).to_pylist(),
    }.get(ending, lambda: [json.loads(line) for line in target.read_text().splitlines()])()
    assert [set(row) for row in found] == 6 * [{"label", "size_bytes"}]
    assert {row["label"] for row in found} == {"circle", "square"}
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


def test_a_file_is_written_whole_or_stays_as_it_was(shared_lake, capsys, tmp_path):
    target = tmp_path / "rows.csv"
    target.write_text("before")
    endless = "select a.i from (select unnest(range(1000000)) as i) a, (select unnest(range(1000000)) as i) b"
    code, _, err = ask(capsys, shared_lake, endless, "--output", str(target), "--timeout", "2")
    assert (code, target.read_text()) == (1, "before")
    # Which limit it meets first, of time or of rows, is a matter of the machine.
    assert "or raise" in err
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--output", "rows.xlsx"], "give --format parquet, json or csv"),
        (["--format", "parquet"], "give --output FILE"),
        (["--output", "no/such/folder/rows.csv"], "cannot be written"),
        (["--timeout", "0"], "expected seconds above 0"),
        (["--timeout", "nan"], "expected seconds above 0"),
        (["--memory-mb", "1"], "expected at least"),
        (["--set", "sql.memory_mb=1"], "at least"),
        (["--set", "sql.max_rows=0"], "must be above 0"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(shared_lake, capsys, tmp_path, monkeypatch, arguments, reason):
    monkeypatch.chdir(tmp_path)
    code, out, err = ask(capsys, shared_lake, "select 1 as one", *arguments)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert reason in err


def test_limits_come_from_the_configuration_too(shared_lake, capsys):
    text = "select unnest(range(10)) as i"
    assert "larger than 9 rows" in ask(capsys, shared_lake, text, "--set", "sql.max_rows=9")[2]


def test_the_columns_of_a_view_are_told_without_a_lake(tmp_path, capsys):
    code, out, _ = ask(capsys, tmp_path / "nowhere", "--views", "entities_wide")
    assert code == 0
    assert "size_bytes" in out
    assert "Width" in out
    facts = [json.loads(line) for line in ask(capsys, tmp_path, "--views", "--json")[1].splitlines()]
    assert {"name", "type", "doc"} == set(facts[0]["columns"][0])
    assert {"silver.entities", "labels"} <= {each["name"] for each in facts}
    code, _, err = ask(capsys, tmp_path, "--views", "lables")
    assert code == 1
    assert "did you mean `labels`?" in err


@pytest.mark.parametrize("text", ["describe labels", "show tables", "summarize labels",
                                  "select table_name from information_schema.tables"])
def test_what_there_is_can_be_asked_for(shared_lake, capsys, text):
    code, out, _ = ask(capsys, shared_lake, text, "--json")
    assert code == 0
    assert len(out.splitlines()) > 5


def test_values_cannot_command_the_terminal(shared_lake, capsys):
    text = "select chr(27) || '[31m' as a, chr(10) || 'x' as b, chr(8238) as c, chr(155) as d"
    for form in ("table", "json"):
        _, out, _ = ask(capsys, shared_lake, text, "--format", form)
        assert out.replace("\n", "").isprintable()
    assert json.loads(out) == {"a": "\x1b[31m", "b": "\nx", "c": "\u202e", "d": "\x9b"}


def test_long_values_are_cut_on_a_terminal_alone_and_it_says_so(shared_lake, capsys, monkeypatch):
    text = "select repeat('abc', 100) as long, 123456789 as n, 'x' as short"
    assert 300 * "x" in ask(capsys, shared_lake, text.replace("abc", "xxx"))[1]
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "60")
    _, out, err = ask(capsys, shared_lake, text)
    assert all(len(line) <= 60 for line in out.splitlines())
    assert "abc…  123,456,789  x" in out.replace("abcab…", "abc…").replace("abca…", "abc…")
    assert err == "petrel: 1 long values are cut; --wide or --format json shows them whole\n"
    _, out, err = ask(capsys, shared_lake, text, "--wide")
    assert (100 * "abc" in out, err) == (True, "")


def test_a_struct_with_fields_of_one_name_is_refused_and_no_traceback(shared_lake, capsys):
    code, _, err = ask(capsys, shared_lake, "select row(1, 2) as r")
    assert code == 1
    assert "in r: two fields are called nothing" in err
