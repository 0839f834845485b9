"""Quality suites: what they find in rows, what a failure stops, what is recorded, and what a file may not say."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest

import lakehouse as lh
from jobs.cli import main as petrel
from lakehouse.errors import (
    CheckFailedError,
    ConcurrentWriteError,
    ConfigError,
    QueryFailedError,
    QueryRefusedError,
    RejectedInputError,
)
from lakehouse.lake import Lake
from lakehouse.quality.page import quality_page
from lakehouse.quality.suite import Suite, load_suite, load_suites
from lakehouse.quality.verdicts import last_run, last_runs
from lakehouse.query import fetch
from lakehouse.steps.rejects import rejected_row
from lakehouse.tables.insert import insert_rows
from schemas.tables import REJECTED
from tests.corpus import good_images
from tests.making import add_dimension, add_entities, add_opinions, opinion, small_lake

ROOT = Path(__file__).parents[2]
NAMES = [f"file {number}" for number in range(100)]

BRIGHT = """
after = "dimensions"
sql = "select entity_id, brightness, width from entities_wide"

[[expect]]
type = "expect_column_mean_to_be_between"
column = "brightness"
min_value = 0.4
max_value = 0.6

[[expect]]
type = "expect_column_values_to_not_be_null"
column = "brightness"
mostly = 0.99
"""

CLASSES = """
after = "opinions"
reads = "labels"

[[expect]]
type = "expect_column_distinct_values_to_equal_set"
column = "label"
value_set = ["cat", "dog"]
"""

ROWS = """
[[expect]]
type = "expect_table_row_count_to_be_between"
min_value = 1
"""

RECIPE = """
name = "things"

[select]
sql = "select entity_id from entities"

[split]
ratios = { train = 0.8, test = 0.2 }
"""


def brightness(shift: float = 0.0) -> dict[str, float]:
    return {name: 0.5 + (number - 49.5) / 1000 + shift for number, name in enumerate(NAMES)}


@pytest.fixture
def suite(tmp_path: Path) -> Callable[..., Suite]:
    def load(text: str, name: str = "asked") -> Suite:
        path = tmp_path / f"{name}.toml"
        path.write_text(text)
        return load_suite(path)

    return load


@pytest.fixture
def recipe(tmp_path: Path) -> lh.Recipe:
    path = tmp_path / "things.recipe.toml"
    path.write_text(RECIPE)
    return lh.load_recipe(path)


@pytest.fixture
def measured(tmp_path: Path) -> Iterator[Callable[..., Lake]]:
    """A function that gives a lake of a hundred things with a brightness each."""
    opened = []

    def make(values: dict[str, float]) -> Lake:
        context = small_lake(tmp_path / "lake")
        lake = context.__enter__()
        opened.append(context)
        add_entities(lake, NAMES)
        add_dimension(lake, "brightness", values)
        return lake

    yield make
    for context in opened:
        context.__exit__(None, None, None)


@pytest.mark.parametrize(
    ("values", "verdict", "failing"),
    [
        (brightness(), "pass", []),
        (brightness(0.2), "fail", [1]),
        (dict(list(brightness().items())[:98]), "fail", [2]),
        (dict(list(brightness(0.2).items())[:98]), "fail", [1, 2]),
    ],
    ids=["clean", "shifted brightness", "2 % broken", "both"],
)
def test_drift_is_found_and_clean_data_passes(measured, suite, values, verdict, failing):
    lake = measured(values)
    receipt = lh.quality(lake, [suite(BRIGHT)])
    assert receipt.details["verdict"] == verdict
    assert receipt.counts == {
        "expectations": 2, "passed": 2 - len(failing), "failed": len(failing), "allowed": 0
    }  # fmt: skip
    rows = last_run(lake, "asked")
    assert [row["place"] for row in rows if not row["passed"]] == failing
    assert [note.count for note in receipt.notes] == ([len(failing)] if failing else [])
    mean, filled = rows
    assert json.loads(mean["observed"]) == pytest.approx(sum(values.values()) / len(values), abs=1e-6)
    assert (filled["rows"], filled["failing_rows"]) == (100, 100 - len(values))


def test_a_missing_class_is_found(lake, suite):
    add_entities(lake, NAMES[:4])
    add_opinions(lake, [opinion(name, "human:ada", "cat") for name in NAMES[:4]])
    assert lh.quality(lake, [suite(CLASSES)]).details["verdict"] == "fail"
    assert json.loads(last_run(lake, "asked")[0]["observed"]) == {"missing": ["dog"], "unexpected": []}
    add_opinions(lake, [opinion(NAMES[0], "human:bob", "dog")])
    assert lh.quality(lake, [suite(CLASSES)]).details["verdict"] == "pass"
    assert last_run(lake, "asked")[0]["run"] == 2


def test_a_run_with_the_same_outcome_adds_nothing(measured, suite):
    lake = measured(brightness())
    assert lh.quality(lake, [suite(BRIGHT)]).rows_new == 2
    assert lh.quality(lake, [suite(BRIGHT)]).rows_new == 0
    # Another suite of that name, then the first again: three runs, and the last one holds.
    other = suite(BRIGHT.replace("0.6", "0.45"))
    assert lh.quality(lake, [other]).details["verdict"] == "fail"
    assert lh.quality(lake, [suite(BRIGHT)]).details["verdict"] == "pass"
    assert {row["run"] for row in last_runs(lake)} == {3}


def test_a_failure_stops_datasets_until_it_is_mended_or_allowed(measured, suite, recipe):
    lake = measured(brightness(0.2))
    lh.quality(lake, [suite(BRIGHT)])
    # The recipe reads entities alone: what fails about dimensions too is about entities, through the view.
    with pytest.raises(CheckFailedError, match=r"quality: asked 1: expect_column_mean_to_be_between\(.*allow-failed"):
        lh.build(lake, recipe)
    assert fetch(lake, "select * from gold.datasets") == []
    built = lh.build(lake, recipe, allow_failed="dark season")
    assert [note.rule for note in built.notes] == ["quality_failure_allowed"]
    assert [(row["run"], row["allowed_because"]) for row in last_run(lake, "asked")] == [(2, "dark season")] * 2
    # Allowed once, recorded, it stops nothing any more.
    assert lh.build(lake, recipe).details["dataset_id"] == built.details["dataset_id"]


def test_what_only_tells_stops_nothing(measured, suite, recipe):
    lake = measured(brightness(0.2))
    told = suite(BRIGHT.replace("max_value = 0.6", "max_value = 0.6\nblocks = false"))
    receipt = lh.quality(lake, [told])
    assert (receipt.details["verdict"], receipt.counts["failed"]) == ("pass", 1)
    assert lh.build(lake, recipe).counts["members"] == 100


def test_a_verdict_on_other_rows_is_noted(measured, suite, recipe):
    lake = measured(brightness())
    lh.quality(lake, [suite(BRIGHT)])
    add_entities(lake, ["one more"])
    assert [note.rule for note in lh.build(lake, recipe).notes] == ["quality_not_of_these_rows"]


def test_a_suite_about_members_stops_what_is_published(measured, suite, recipe):
    lake = measured(brightness())
    lh.build(lake, recipe)
    lh.quality(lake, [suite('after = "build"\nreads = "members"\n[[expect]]\n'
                            'type = "expect_table_row_count_to_equal"\nvalue = 7\n')])  # fmt: skip
    with pytest.raises(CheckFailedError, match=r"expect_table_row_count_to_equal\(value=7\): found 100"):
        lh.materialise(lake, "things")
    assert not (lake.home.folder / "datasets").exists()


HEAD = 'after = "entities"\nreads = "entities"\n'
ONE = '[[expect]]\ntype = "expect_column_values_to_not_be_null"\ncolumn = "entity_id"\n'


@pytest.mark.parametrize(
    ("text", "error", "match"),
    [
        (ONE, ConfigError, "key `after` is missing"),
        ('after = "entitys"\nreads = "entities"\n' + ONE, ConfigError, "no step `entitys`; did you mean `entities`"),
        ('after = "entities"\n' + ONE, ConfigError, "state one of `reads`"),
        ('after = "entities"\nreads = "entites"\n' + ONE, ConfigError, "no table or view `entites`; did you mean `ent"),
        (HEAD + 'sql = "select 1"\n' + ONE, ConfigError, "state one of `reads`"),
        ('after = "entities"\nsql = "drop table x"\n' + ONE, QueryRefusedError, "."),
        ('after = "entities"\nsql = "select * from read_csv(\'/etc/passwd\')"\n' + ONE, QueryRefusedError, "."),
        (HEAD, ConfigError, r"write \[\[expect\]\]"),
        (HEAD + "[[expect]]\ncolumn = 'x'\n", ConfigError, "type: expected a name"),
        (HEAD + ONE + "blocks = 1\n", ConfigError, "blocks: expected true or false"),
        (HEAD + ONE + "row_condition = \"__import__('os').system('x')\"\n", ConfigError, "row_condition is not taken"),
        (HEAD + "kolour = 1\n" + ONE, ConfigError, "unknown key `kolour`"),
        (HEAD + ONE + "meta = { place = 4 }\n", ConfigError, "meta is not taken; it says nothing of the rows"),
        (HEAD + ONE + 'severity = "info"\n', ConfigError, "severity is not taken; write `blocks = false`"),
        (HEAD + ONE + "min_value = nan\n", ConfigError, "min_value: expected a finite number, found nan"),
        (HEAD + ONE + "value_set = [2026-05-01T00:00:00Z]\n", ConfigError, "value_set: write the time as a text"),
        (HEAD + ONE + 'min_value = { "$PARAMETER" = "now()" }\n', ConfigError, "computed anew in every run"),
        ('after = "land"\nsql = "select 1 as x"\n' + ONE, ConfigError, "sql: reads no table or view"),
    ],
)  # fmt: skip
def test_a_file_that_says_something_else_is_refused(suite, text, error, match):
    with pytest.raises(error, match=match):
        suite(text)


def test_what_is_found_is_json_whatever_it_is(lake, suite):
    add_entities(lake, NAMES[:3])
    text = """
after = "entities"
sql = "select cast('inf' as double) as endless, cast(null as double) as empty from entities"

[[expect]]
type = "expect_column_max_to_be_between"
column = "endless"
max_value = 1

[[expect]]
type = "expect_column_mean_to_be_between"
column = "empty"
max_value = 1
"""
    assert lh.quality(lake, [suite(text)]).details["verdict"] == "fail"

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    found = [json.loads(row["observed"], parse_constant=refuse) for row in last_run(lake, "asked")]
    assert found == ["Infinity", None]


def test_a_blank_reason_allows_nothing(measured, suite, recipe):
    lake = measured(brightness(0.2))
    for said in (" ", "x" * 1001):
        with pytest.raises(ConfigError, match="--allow-failed"):
            lh.quality(lake, [suite(BRIGHT)], allow_failed=said)
    lh.quality(lake, [suite(BRIGHT)])
    with pytest.raises(ConfigError, match="the reason is blank"):
        lh.build(lake, recipe, allow_failed="\t")


def test_an_allowance_that_another_run_overtook_is_no_allowance(measured, suite, recipe, monkeypatch):
    lake = measured(brightness(0.2))
    lh.quality(lake, [suite(BRIGHT)])
    old = last_runs(lake)
    lh.quality(lake, [suite(BRIGHT.replace("0.6", "0.61"))])
    monkeypatch.setattr("lakehouse.quality.verdicts.last_runs", lambda lake: old)
    with pytest.raises(ConcurrentWriteError, match="somebody recorded its run 2 meanwhile"):
        lh.build(lake, recipe, allow_failed="night shots")


@pytest.mark.parametrize(
    ("text", "error", "match"),
    [
        (HEAD + ONE.replace("not_be_null", "not_be_nul"), ConfigError, r"\[\[expect\]\] 1: .*not_be_nul"),
        (HEAD + ONE + "minimum = 1\n", ConfigError, r"asked.toml: \[\[expect\]\] 1: .*minimum"),
        (HEAD + ONE + 'mostly = "most"\n', ConfigError, r"asked.toml: \[\[expect\]\] 1: .*mostly"),
        (HEAD + ONE.replace('"entity_id"', '"entity_ld"'), ConfigError, "no column `entity_ld` in entities; did"),
        ('after = "land"\nsql = "select nope from entities"\n' + ONE, QueryFailedError, "suite asked: sql: .*nope"),
        (
            'after = "land"\nsql = "select 1 as x, 2 as x from entities"\n' + ONE,
            ConfigError,
            "two columns are called `x`",
        ),
    ],
)
def test_a_suite_that_cannot_be_checked_is_an_error(lake, suite, text, error, match):
    add_entities(lake, NAMES[:1])
    with pytest.raises(error, match=match):
        lh.quality(lake, [suite(text)])
    assert last_runs(lake) == []


def test_an_expectation_that_the_rows_cannot_answer_did_not_hold(lake, suite):
    add_entities(lake, NAMES[:2])
    asked = suite(HEAD + ONE.replace("values_to_not_be_null", "mean_to_be_between") + "min_value = 1\n")
    assert lh.quality(lake, [asked]).details["verdict"] == "fail"
    assert last_run(lake, "asked")[0]["problem"]


def test_nan_null_and_whole_numbers_stay_what_they_are(lake, suite):
    rows = pa.table({"n": pa.array([1, None, 2**53 + 1]), "x": pa.array([1.0, float("nan"), None])})
    asked = suite(
        HEAD
        + '[[expect]]\ntype = "expect_column_max_to_be_between"\ncolumn = "n"\nmax_value = 9007199254740993\n'
        + '[[expect]]\ntype = "expect_column_values_to_not_be_null"\ncolumn = "x"\n'
    )
    greatest, filled = lake.engine.check(lake.engine.from_arrow(rows), asked.expectations)
    assert json.loads(greatest.observed) == 2**53 + 1
    assert filled.failing_rows == 1


def test_the_report_is_one_page_without_a_script(measured, suite):
    lake = measured(dict(list(brightness(0.2).items())[:98]))
    hostile = BRIGHT.replace("'", "").replace('sql = "select entity_id,', "sql = \"select '<script>' as entity_id,")
    lh.quality(lake, [suite(hostile, "<b>"), suite(BRIGHT, "other")])
    page = quality_page(last_runs(lake))
    assert "&lt;b&gt;" in page
    assert all(word not in page for word in ("<script", "<b>", "src=", "href=", "https://"))
    assert page.count("✗\u00a0fails") == 4


def test_the_suites_of_the_project_hold_of_a_clean_lake(measured, recipe):
    lake = measured(brightness())
    lh.build(lake, recipe)
    receipt = lh.quality(lake, [each for each in load_suites(ROOT / "conf" / "quality") if each.name != "pictures"])
    assert (receipt.details["verdict"], receipt.counts["failed"]) == ("pass", 0)


def test_a_failed_suite_whose_file_is_gone_is_told_and_can_be_retired(measured, suite, recipe, tmp_path, capsys):
    lake = measured(brightness(0.2))
    lh.quality(lake, [suite(BRIGHT, "gone")])
    kept = suite('after = "dimensions"\nreads = "silver.entities"\n' + ROWS, "kept")
    (note,) = lh.quality(lake, [kept]).notes
    assert note.rule == "suite_not_checked"
    assert "suite gone failed in its run 1" in note.example
    with pytest.raises(CheckFailedError, match="a suite whose file is gone: petrel quality --retire NAME=REASON"):
        lh.build(lake, recipe)
    command = ["quality", "--lake", str(lake.home.folder), "--retire"]
    assert petrel([*command, "gine=typo"]) == 1
    assert "no suite `gine` ever ran; did you mean `gone`?" in capsys.readouterr().err
    assert petrel([*command, "gone= "]) == 1
    assert petrel([*command, "gone=cameras changed"]) == 0
    assert petrel([*command, "gone=cameras changed"]) == 0
    assert {(row["run"], row["after"]) for row in last_run(lake, "gone")} == {(2, "retired")}
    assert lh.build(lake, recipe).notes == ()
    assert lh.quality(lake, [kept]).notes == ()
    assert "It is checked no more, and stops nothing, because: cameras changed" in quality_page(last_runs(lake))
    # Checked again, it counts again.
    assert lh.quality(lake, [suite(BRIGHT, "gone")]).details["verdict"] == "fail"
    with pytest.raises(CheckFailedError):
        lh.build(lake, recipe)


def test_files_rejected_count_as_broken_and_what_later_steps_rejected_does_not(lake):
    add_entities(lake, NAMES)
    insert_rows(lake, REJECTED, [
        rejected_row("derive", str(number), RejectedInputError("transform_error", "no")) for number in range(9)
    ], step="derive")
    assert lh.quality(lake, [load_suite(ROOT / "conf/quality/rejected.toml")]).details["verdict"] == "pass"


def test_too_many_broken_files_stop_a_dataset_though_it_reads_none_of_them(measured, recipe):
    broken = [rejected_row("entities", str(number), RejectedInputError("truncated", "cut")) for number in range(3)]
    lake = measured(brightness())
    insert_rows(lake, REJECTED, broken, step="entities")
    assert lh.quality(lake, [load_suite(ROOT / "conf/quality/rejected.toml")]).details["verdict"] == "fail"
    with pytest.raises(CheckFailedError, match="quality: rejected 1: .*share"):
        lh.build(lake, recipe)


def test_two_suites_of_one_name_are_refused(tmp_path):
    for name in ("one", "two"):
        (tmp_path / f"{name}.toml").write_text('name = "same"\n' + HEAD + ONE)
    with pytest.raises(ConfigError, match="two suites are called same"):
        load_suites(tmp_path)
    with pytest.raises(ConfigError, match="no quality suite in this folder"):
        load_suites(tmp_path.parent / tmp_path.name / "..")


def test_the_command_says_by_its_exit_code(measured, tmp_path, capsys):
    lake = measured(brightness(0.2))
    (tmp_path / "asked.toml").write_text(BRIGHT)
    root = str(lake.home.folder)
    page = tmp_path / "quality.html"
    asked = ["quality", "--lake", root, "--suites", str(tmp_path / "asked.toml")]
    assert petrel([*asked, "--html", str(page)]) == 3
    said = capsys.readouterr()
    assert "expect_column_mean_to_be_between" in said.out
    assert "temporary directory" not in said.err
    assert "brightness" in page.read_text()
    assert petrel([*asked, "--allow-failed", "dark season"]) == 0
    assert petrel([*asked, "--after", "land"]) == 1
    assert "no suite is checked after `land`" in capsys.readouterr().err


def test_a_pipeline_checks_suites_after_their_step_and_builds_nothing_on_a_failure(tmp_path, capsys):
    good_images(tmp_path / "drop", 3)
    (tmp_path / "things.toml").write_text(RECIPE)
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "many.toml").write_text(
        HEAD + '[[expect]]\ntype = "expect_table_row_count_to_be_between"\nmin_value = 4\n'
    )
    (tmp_path / "all.toml").write_text(
        '[[sources]]\nname = "things"\nfolder = "drop"\n[[datasets]]\nrecipe = "things.toml"\n'
        '[[quality]]\nsuites = "suites"\n'
    )
    asked = ["run", "--lake", str(tmp_path / "lake"), "--pipeline", str(tmp_path / "all.toml")]
    asked += ["--set", "engine.workers=1"]
    assert petrel(asked) == 1
    said = capsys.readouterr()
    assert "CheckFailedError: quality: many 1: expect_table_row_count_to_be_between(min_value=4): found 3" in said.err
    steps = [line.split()[0] for line in said.out.splitlines()]
    assert steps.index("quality") == steps.index("entities") + 1
    assert "build" not in steps
    assert petrel([*asked, "--allow-failed", "a trial"]) == 0
    assert "materialise" in [line.split()[0] for line in capsys.readouterr().out.splitlines()]
