"""Marts: rows of touched keys are those of all rows, what is killed does not count, and what a file may not say."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import lakehouse as lh
from jobs.cli import main as petrel
from lakehouse.care.erase import erase
from lakehouse.errors import CheckFailedError, ConfigError, QueryFailedError, QueryRefusedError, TableNotFoundError
from lakehouse.lake import Lake
from lakehouse.marts.definition import Mart, load_mart, load_marts
from lakehouse.marts.held import held_runs, mart_rows
from lakehouse.marts.step import marts
from lakehouse.sql.contained import user_query
from lakehouse.tables.insert import insert_rows
from lakehouse.views import registry
from schemas.canonical import content_id
from schemas.tables import ENTITY_SOURCES, LANDED_FILES, MART_ROWS, REJECTED
from tests.lanes import examples
from tests.making import add_entities, add_opinions, entity_id, opinion, small_lake

SHIPPED = Path(__file__).parents[2] / "conf" / "marts"
DAY = datetime(2026, 5, 1, 23, tzinfo=UTC)

SIZES = """/*
doc = "Sizes of files by source."
keys = ["source"]

[columns]
source = "text"
files = "integer"
mean_bytes = "number"

[touched]
"bronze.landed_files" = "select source from newer"
*/
select source, count(*) as files, avg(size_bytes) as mean_bytes from bronze.landed_files group by source
"""


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], Mart]:
    def write(text: str) -> Mart:
        path = tmp_path / "sizes.sql"
        path.write_text(text)
        return load_mart(path)

    return write


def landed(lake: Lake, *files: tuple[str, int, int]) -> None:
    """Record files: source, size, days after the first."""
    rows = [
        {
            "landed_id": content_id([source, size, day]), "source": source, "drop_name": "d", "uri": f"file:///{size}",
            "path": f"{size}", "name": f"{size}", "size_bytes": size, "status": "refused", "rule": "empty",
            "origin": "real", "group_keys": {}, "landed_at": DAY + timedelta(days=day),
        }
        for source, size, day in files
    ]  # fmt: skip
    insert_rows(lake, LANDED_FILES, rows, step="land")


def rejected(lake: Lake, *inputs: tuple[str | None, str, int]) -> None:
    """Record rejections: source, subject, days after the first."""
    rows = [
        {
            "rejected_id": content_id([source, subject, day]), "step": "entities", "subject": subject, "rule": "r",
            "reason": "why", "source": source, "rejected_at": DAY + timedelta(days=day),
        }
        for source, subject, day in inputs
    ]
    insert_rows(lake, REJECTED, rows, step="entities")


def brought(lake: Lake, *seen: tuple[str, str]) -> None:
    """Record that a source brought an entity."""
    rows = [
        {
            "entity_id": entity_id(name), "landed_id": content_id([source, name]), "source": source, "drop_name": "d",
            "uri": f"file:///{name}", "path": name, "name": name, "group_keys": {},
        }
        for source, name in seen
    ]  # fmt: skip
    insert_rows(lake, ENTITY_SOURCES, rows, step="entities")


def told(lake: Lake, name: str) -> list[dict[str, Any]]:
    return mart_rows(lake, name).to_pylist()


def test_a_late_file_changes_its_day_and_no_other(tmp_path: Path) -> None:
    mart = load_mart(SHIPPED / "source_days.sql")
    with small_lake(tmp_path) as lake:
        landed(lake, ("a", 1, 0), ("a", 2, 1), ("b", 3, 1))
        rejected(lake, (None, "x", 1))
        first = marts(lake, [mart])
        assert first.counts | {"changed": 4, "whole": 1} == first.counts
        assert marts(lake, [mart]).rows_new == 0

        landed(lake, ("a", 9, 0))
        again = marts(lake, [mart])
        assert again.counts == {"marts": 1, "unchanged": 0, "whole": 0, "touched": 1, "keys": 1, "changed": 1}
        found = {(row["source"], row["day"].day, row["files"], row["rejected"]) for row in told(lake, mart.name)}
        assert found == {("a", 1, 2, 0), ("a", 2, 1, 0), ("b", 2, 1, 0), (None, 2, 0, 1)}


FILES = st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 40), st.integers(0, 2)), max_size=4)
INPUTS = st.lists(st.tuples(st.sampled_from(["a", "c", None]), st.sampled_from("xyz"), st.integers(0, 2)), max_size=3)
ANSWERS = st.lists(
    st.tuples(
        st.sampled_from(["human:ada", "human:bob"]), st.integers(0, 3), st.sampled_from(["cat", "dog"]),
        st.sampled_from(["species", "mood"]), st.integers(0, 5), st.booleans(),
    ),
    max_size=4,
)  # fmt: skip
BATCHES = st.lists(st.tuples(FILES, INPUTS, ANSWERS), min_size=2, max_size=4)


@settings(
    max_examples=examples(4, long=60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(batches=BATCHES)
def test_what_new_rows_touch_is_all_that_changes(
    tmp_path_factory: pytest.TempPathFactory, batches: list[tuple[Any, Any, Any]]
) -> None:
    wanted = load_marts(SHIPPED)
    with small_lake(tmp_path_factory.mktemp("lake")) as lake:
        names = [f"e{number}" for number in range(4)]
        add_entities(lake, names)
        before: str | None = None
        for files, inputs, answers in batches:
            landed(lake, *files)
            rejected(lake, *inputs)
            rows = [
                opinion(names[subject], actor, label, question=question, event_time=DAY + timedelta(hours=hour),
                        op="retract" if corrects and before else None, target=before if corrects else None)
                for actor, subject, label, question, hour, corrects in answers
            ]
            brought(lake, *((source, names[size % 4]) for source, size, _ in files))
            add_opinions(lake, rows)
            before = str(rows[0]["opinion_id"]) if rows else before
            marts(lake, wanted, check=True)  # fails where a key that changed was not touched
        whole = marts(lake, wanted, whole=True)
        assert whole.counts["changed"] == 0


def test_a_key_that_touched_left_out_is_found(tmp_path: Path, written: Callable[[str], Mart]) -> None:
    with small_lake(tmp_path / "lake") as lake:
        landed(lake, ("a", 1, 0))
        mart = written(SIZES.replace('"select source from newer"', "\"select source from newer where source <> 'a'\""))
        marts(lake, [mart])
        landed(lake, ("a", 2, 0), ("b", 2, 0))
        with pytest.raises(CheckFailedError, match=r"left out 1 keys that changed, first \[\"a\"\]"):
            marts(lake, [mart], check=True)
        assert held_runs(lake)["sizes"].run == 1


def test_another_query_builds_all_rows_anew_and_says_so(tmp_path: Path, written: Callable[[str], Mart]) -> None:
    with small_lake(tmp_path / "lake") as lake:
        landed(lake, ("a", 1, 0), ("b", 2, 0))
        marts(lake, [written(SIZES)])
        changed = written(SIZES.replace("group by source", "where size_bytes > 1 group by source"))
        receipt = marts(lake, [changed])
        assert [note.example for note in receipt.notes] == [
            "all 1 rows of sizes were computed: its query, keys or columns, or a view or function behind it, changed"
        ]
        assert told(lake, "sizes") == [{"source": "b", "files": 1, "mean_bytes": 2.0}]


def test_another_version_of_a_function_of_yours_builds_all_rows_anew(
    tmp_path: Path, written: Callable[[str], Mart]
) -> None:
    def define(version: int, *, deterministic: bool = True) -> None:
        @lh.sql_function(gives="number", version=version, deterministic=deterministic)
        def times_version(size: NDArray[np.float64]) -> NDArray[np.float64]:
            return size.sum(axis=1) * version

    text = SIZES.replace("avg(size_bytes)", "sum(times_version([cast(size_bytes as double)]))")
    with small_lake(tmp_path / "lake") as lake:
        landed(lake, ("a", 3, 0))
        for version in (1, 2):
            define(version)
            marts(lake, [written(text)])
            assert told(lake, "sizes") == [{"source": "a", "files": 1, "mean_bytes": 3.0 * version}]
        assert marts(lake, [written(text)]).counts["unchanged"] == 1
        define(3, deterministic=False)
        with pytest.raises(ConfigError, match="calls times_version, which is not deterministic"):
            written(text)


def test_another_text_of_a_view_builds_all_rows_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (coverage,) = load_marts(SHIPPED, ["label_coverage"])
    with small_lake(tmp_path / "lake") as lake:
        brought(lake, ("a", "here"))
        add_opinions(lake, [opinion("a", "human:ann", "cat")])
        marts(lake, [coverage])
        assert marts(lake, [coverage]).counts["unchanged"] == 1
        text = registry.view_text("labels")
        monkeypatch.setitem(registry._TEXTS, "labels", f"select * from ({text}) said where false")
        assert marts(lake, [coverage]).counts["whole"] == 1
        assert [row["labelled"] for row in told(lake, "label_coverage")] == [0]


def test_rows_of_a_run_that_was_killed_do_not_count(tmp_path: Path, written: Callable[[str], Mart]) -> None:
    mart = written(SIZES)
    with small_lake(tmp_path / "lake") as lake:
        landed(lake, ("a", 1, 0))
        marts(lake, [mart])
        insert_rows(lake, MART_ROWS, [
            {"name": "sizes", "run": 2, "key_json": '["a"]', "values_json": "[99,9.0]"},
            {"name": "sizes", "run": 2, "key_json": '["left"]', "values_json": "[1,1.0]"},
        ], step="marts")  # fmt: skip
        assert told(lake, "sizes") == [{"source": "a", "files": 1, "mean_bytes": 1.0}]
        landed(lake, ("a", 2, 0))
        marts(lake, [mart])
        assert held_runs(lake)["sizes"].run == 3
        assert told(lake, "sizes") == [{"source": "a", "files": 2, "mean_bytes": 1.5}]


def test_an_erasure_empties_marts_and_the_next_run_fills_them(
    tmp_path: Path, written: Callable[[str], Mart]
) -> None:
    mart = written(SIZES)
    with small_lake(tmp_path / "lake") as lake:
        landed(lake, ("a", 1, 0), ("b", 2, 0))
        marts(lake, [mart])
        receipt = erase(lake, source="a", reason="asked to")
        assert "marts" in {note.rule for note in receipt.notes}
        assert held_runs(lake) == {}
        marts(lake, [mart])
        assert [row["source"] for row in told(lake, "sizes")] == ["b"]


def test_people_ask_marts_in_sql(tmp_path: Path, written: Callable[[str], Mart], capsys: Any) -> None:
    with small_lake(tmp_path / "lake") as lake:
        landed(lake, ("a", 1, 0), ("b", 4, 0))
        marts(lake, [written(SIZES)])
        text = "select s.source, s.mean_bytes from MART_sizes s where s.files > 0 order by 1"
        assert user_query(lake.home, text).to_pylist() == [
            {"source": "a", "mean_bytes": 1.0}, {"source": "b", "mean_bytes": 4.0}
        ]  # fmt: skip
        with pytest.raises(QueryRefusedError, match="mart_others"):
            user_query(lake.home, "select * from mart_others")
        with pytest.raises(TableNotFoundError, match="no mart `size`.*sizes"):
            mart_rows(lake, "size")
        landed(lake, ("c", 1, 0))
    assert petrel(["status", "--lake", str(tmp_path / "lake"), "--runs", "0"]) == 0
    shown = capsys.readouterr().out
    assert "Sizes of files by source." in shown
    assert "bronze.landed_files" in shown.partition("mart ")[2]


@pytest.mark.parametrize(
    ("text", "error", "match"),
    [
        ("select 1 as x from entities", ConfigError, "expected a comment"),
        (SIZES.replace('keys = ["source"]', 'keys = ["files"]'), ConfigError, "expected the first of"),
        (SIZES.replace('"number"', '"float"'), ConfigError, "mean_bytes: no kind `float`"),
        (SIZES.replace('"bronze.landed_files" =', '"bronze.landed" ='), ConfigError, "does not read bronze.landed"),
        (SIZES.replace("avg(size_bytes)", "random()"), QueryRefusedError, "sizes.sql: function random"),
        (SIZES.replace("from newer", "from read_csv('x')"), QueryRefusedError, "touched.bronze.landed_files"),
        (SIZES.replace("from bronze.landed_files group", "from newer group"), QueryRefusedError, "newer"),
    ],
)
def test_what_a_file_may_not_say(
    written: Callable[[str], Mart], text: str, error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        written(text)


@pytest.mark.parametrize(
    ("text", "error", "match"),
    [
        (SIZES.replace("as files", "as n"), ConfigError, "expected the columns source, files, mean_bytes"),
        (SIZES.replace("group by source", "group by source, size_bytes"), ConfigError, "two rows have the key"),
        (SIZES.replace("avg(size_bytes)", "cast('nan' as double)"), QueryFailedError, "mean_bytes is nan"),
    ],
)
def test_what_a_query_may_not_give(
    tmp_path: Path, written: Callable[[str], Mart], text: str, error: type[Exception], match: str
) -> None:
    with small_lake(tmp_path / "lake") as lake:
        landed(lake, ("a", 1, 0), ("a", 2, 0))
        with pytest.raises(error, match=match):
            marts(lake, [written(text)])
        assert held_runs(lake) == {}
