"""Saved views, datasets of a query, plans, parameters by place and several lakes in one query."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

import lakehouse as lh
from jobs.cli import main
from lakehouse.commits.branching import make_branch
from lakehouse.commits.making import commit
from lakehouse.errors import ConfigError, PetrelError, QueryFailedError, QueryRefusedError, TableNotFoundError
from lakehouse.lake import Lake
from lakehouse.materialise.creating import create_dataset
from lakehouse.sql import connect, user_query
from lakehouse.sql.saving import drop_view, save_view, saved_views
from lakehouse.tables.insert import insert_rows
from schemas.tables import SAVED_VIEWS
from tests.making import add_entities, add_opinions, opinion, small_lake

DOCUMENT = Path(__file__).parents[2] / "docs" / "sql.md"
LARGE = "select entity_id, size_bytes from entities where size_bytes > 3"


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    with small_lake(tmp_path_factory.mktemp("saved") / "lake") as opened:
        add_entities(opened, ["one", "two", "three"])
        add_opinions(opened, [opinion("one", "human:ann", "cat")])
        save_view(opened, "large", f"{LARGE};", doc="large ones")
        save_view(opened, "largest", "with m as (select max(size_bytes) as s from large) "
                  "select l.* from large l, m where l.size_bytes = m.s")
        yield opened


def test_a_saved_view_stands_wherever_a_query_reads(lake: Lake) -> None:
    n = [{"n": 1}]
    assert lh.fetch(lake, "select count(*) as n from largest") == n
    assert user_query(lake.home, "with x as (select 1) select count(*) as n from Largest, x").to_pylist() == n
    described = user_query(lake.home, "describe largest").to_pylist()
    assert [row["column_name"] for row in described] == ["entity_id", "size_bytes"]
    assert user_query(lake.home, "select largest.* from largest sample by 1 seed 1 limit 5").num_rows == 1
    with connect(lake.home) as connection:
        assert connection.execute("select size_bytes from largest").fetchall() == [(5,)]
    with lake.stream("select entity_id from large", batch_size=2, columns=["entity_id"]) as stream:
        assert stream.rows == 1
        assert {"silver.entities"} <= stream.pins.keys()
    again = save_view(lake, "large", LARGE, doc="large ones")
    assert again.counts == {"new": 0}
    # A text that somebody else wrote is looked at when it is used, not only when it is saved.
    with pytest.raises(QueryRefusedError, match="read_text"):
        user_query(lake.home, "select * from large, read_text('/etc/passwd')")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("Large", "select 1 as a", "small letters"),
        ("nd_x", "select 1 as a", "not beginning with nd_"),
        ("labels", "select 1 as a", "a view of Petrel's"),
        ("select", "select 1 as a", "a word of SQL"),
        ("large", "select * from largest", "`large` reads itself: large -> largest -> large"),
        ("mine", "select * from mine", "`mine` reads itself"),
        ("mine", "select * from read_text('/etc/passwd')", "table functions are not allowed"),
        ("mine", "drop table entities", "expected exactly one SELECT"),
        ("mine", "select $a as b", r"needs parameter \$a"),
        ("mine", "select 1 as a, 2 as a", "two columns are called a"),
        ("mine", "with large as (select * from large) select * from large", "a WITH called `large`"),
    ],
)
def test_what_cannot_be_a_view_is_refused(lake: Lake, name: str, text: str, message: str) -> None:
    with pytest.raises(PetrelError, match=message):
        save_view(lake, name, text)
    assert {row["name"] for row in saved_views(lake)} >= {"large", "largest"}


def test_branches_have_their_own_views_and_commits_those_that_they_had(lake: Lake) -> None:
    save_view(lake, "here", "select 1 as a")
    make_branch(lake, "aside")
    save_view(lake, "here", "select 2 as a")
    assert user_query(lake.home, "select a from here").to_pylist() == [{"a": 2}]
    assert _sql(lake, "select a from here", "--branch", "aside") == 0
    config = lh.load_config(overrides=[f'lake.root="{lake.root}"', 'lake.branch="aside"'], environ={})
    with lh.open_lake(config) as aside:
        assert lh.fetch(aside, "select a from here") == [{"a": 1}]
        save_view(aside, "there", "select 3 as a")
    with pytest.raises(QueryRefusedError, match="no table or view `there`"):
        user_query(lake.home, "select * from there")
    drop_view(lake, "here")
    with pytest.raises(QueryRefusedError, match="no table or view `here`"):
        user_query(lake.home, "select * from here")
    assert [row["sql"] for row in saved_views(lake, "here")] == [None, "select 2 as a", "select 1 as a"]
    with pytest.raises(TableNotFoundError, match="no saved view `here`"):
        drop_view(lake, "here")
    with pytest.raises(QueryRefusedError, match="`large` is read by largest; drop these first"):
        drop_view(lake, "large")


def _sql(lake: Lake, *arguments: str) -> int:
    return main(["sql", "--lake", str(lake.root), *arguments])


def test_create_dataset_writes_a_recipe_with_the_text_of_views_and_builds_it(
    lake: Lake, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = "create dataset big as select entity_id, size_bytes as bytes from large where size_bytes < $most"
    assert _sql(lake, text, "--param", "most=100") == 0
    first = capsys.readouterr().out
    recipe = (tmp_path / "big.toml").read_text(encoding="utf-8")
    assert "size_bytes > 3" in recipe
    assert "params = { most = 100 }" in recipe
    assert _sql(lake, text, "--param", "most=100") == 0
    assert main(["build", "--lake", str(lake.root), "--recipe", "big.toml"]) == 0
    assert "nothing new" in capsys.readouterr().out
    assert "gold.datasets" in first
    with pytest.raises(ConfigError, match="says something else"):
        create_dataset(lake, "big", "select entity_id from entities", recipe=tmp_path / "big.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff")
    for place in (tmp_path, tmp_path / "bytes.toml"):
        with pytest.raises(ConfigError, match=f"{re.escape(str(place))}: is there and .* another file with --recipe"):
            create_dataset(lake, "big", "select entity_id from entities", recipe=place)
    with pytest.raises(PetrelError):
        create_dataset(lake, "other", "select size_bytes from entities", recipe=tmp_path / "other.toml")
    assert not (tmp_path / "other.toml").exists()
    (tmp_path / "named.toml").write_text(
        'name = "named"\nseed = 1\n[select]\nsql = "select entity_id from large"\n[split]\nratios = {train = 1.0}\n'
    )
    with pytest.raises(QueryRefusedError, match="`petrel views show NAME` prints it"):
        lh.build(lake, lh.load_recipe(tmp_path / "named.toml"))


def test_views_are_saved_and_shown_by_the_command(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    at = ["--lake", str(lake.root)]
    assert main(["views", "save", "of_cli", "select 1 as a", "--doc", "one", *at]) == 0
    assert main(["views", *at]) == 0
    assert main(["views", "show", "of_cli", *at]) == 0
    assert main(["views", "drop", "of_cli", *at]) == 0
    shown = capsys.readouterr().out
    assert "select 1 as a;" in shown
    assert "large ones" in shown
    assert main(["views", "show", "of_clu", *at]) == 1
    assert "no saved view `of_clu`" in capsys.readouterr().err


def test_explain_gives_the_plan_of_what_the_gate_lets_through(lake: Lake) -> None:
    plan = user_query(lake.home, "explain select count(*) as n from entities where size_bytes > 3")
    assert plan.column_names == ["plan"]
    lines = plan["plan"].to_pylist()
    assert len(lines) > 3
    assert not any("\n" in line for line in lines), "a line of the plan each"
    assert any("size_bytes>3" in line.replace(" ", "") for line in lines)
    assert not any(str(lake.root) in line for line in lines)
    analyzed = user_query(lake.home, "explain analyze select 1 as a")["plan"].to_pylist()
    assert any("Total Time" in line for line in analyzed)
    commented = "-- why\n explain /* and how */ analyze select 1 as a"
    assert user_query(lake.home, commented).column_names == ["plan"]
    for text in ("explain drop table entities", "explain select * from read_text('/x')", "explain explain select 1"):
        with pytest.raises(QueryRefusedError):
            user_query(lake.home, text)


def test_values_by_place_are_values_whatever_is_in_them(lake: Lake) -> None:
    hostile = "x' or 1 = 1; drop table entities; --"
    text = "select ? as a, 'a ?' as b, count(*) as n from entities where media_type = ?"
    expected = [{"a": -1, "b": "a ?", "n": 0}]
    assert user_query(lake.home, text, params=[-1, hostile]).to_pylist() == expected
    assert lh.fetch(lake, text, params=[-1, hostile]) == expected
    assert user_query(lake.home, "select $2 as a, $1 as b", params=["$2", "?"]).to_pylist() == [{"a": "?", "b": "$2"}]
    assert _sql(lake, "select ? as a", "--param", "1=7") == 0
    array = np.arange(6, dtype="float32").reshape(2, 3)
    text = "select nd_sum($x) as s, nd_shape($x) as shape, $n + 1 as n, nd_l2_distance($x[0, :], [0, 1, 2]) as d"
    given = {"x": array, "n": np.int64(4)}
    expected = [{"s": 15.0, "shape": [2, 3], "n": 5, "d": 0.0}]
    assert user_query(lake.home, text, params=given).to_pylist() == expected
    assert lh.fetch(lake, text, params=given) == expected
    for params, message in (([], r"needs parameter \$1"), ([1, 2], r"has no \$2"), ("ab", "a list of them")):
        with pytest.raises(QueryFailedError, match=message):
            user_query(lake.home, "select ? as a", params=params)


@pytest.mark.parametrize(
    ("text", "params", "row"),
    [
        ("with a as (select ? as x) select ? as y, x from a", ["x", "y"], {"y": "y", "x": "x"}),
        ("from (select ? as x) select x, ? as y", [1, 2], {"x": 1, "y": 2}),
        ("select x from (select ? as x) where x = ? - 1 expand by 0, 0 order x", [5, 6], {"x": 5}),
        ("select x from (select 7 as x) sample by ? + x key x seed 1 limit 1", [1], {"x": 7}),
        ("select ? /* the ? */ as a, ?-- '?\n as b", [1, 2], {"a": 1, "b": 2}),
    ],
)
def test_values_by_place_go_by_the_text_in_both_ways_to_ask(
    lake: Lake, text: str, params: list[object], row: dict[str, object]
) -> None:
    assert lh.fetch(lake, text, params=params) == [row]
    assert user_query(lake.home, text, params=params).to_pylist() == [row]


def test_a_view_that_somebody_wrote_past_the_gate_reads_no_file_in_any_way_to_ask(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "secret").write_text("secret")
    with small_lake(tmp_path / "lake") as lake:
        text = f"select content from read_text('{tmp_path / 'secret'}')"
        insert_rows(lake, SAVED_VIEWS, [{"name": name, "ordinal": 1, "sql": sql} for name, sql in (
            ("harm", text), ("hidden", "select * from harm"))], step="test")  # fmt: skip
        for name in ("harm", "hidden"):
            with pytest.raises(QueryRefusedError, match="read_text"):
                lh.fetch(lake, f"select * from {name}")
            with pytest.raises(QueryRefusedError, match="read_text"):
                user_query(lake.home, f"select * from {name}")
        with connect(lake.home) as connection, pytest.raises(duckdb.CatalogException, match="harm"):
            connection.execute("select * from harm")
        assert "harm is not defined" in caplog.text


def test_a_view_with_clauses_of_ours_is_one_and_a_question_about_a_table_is_none(lake: Lake) -> None:
    save_view(lake, "drawn", "select 7 as x sample by x key x seed 1 limit 1")
    assert user_query(lake.home, "select x from drawn").to_pylist() == [{"x": 7}]
    assert lh.fetch(lake, "select x from drawn") == [{"x": 7}]
    for text in ("describe entities", "show tables"):
        with pytest.raises(QueryRefusedError, match="needs a SELECT"):
            save_view(lake, "asked", text)
    drop_view(lake, "drawn")


def test_saved_views_queries_and_other_lakes_read_each_its_own_commit(tmp_path: Path) -> None:
    with small_lake(tmp_path / "lake") as lake:
        ids = []
        for name in ("one", "two", "three"):
            add_entities(lake, [name])
            ids.append(commit(lake, name).commit_id)
        save_view(lake, "early", f"select entity_id from entities@{ids[0]}; -- the first")
        save_view(lake, "late", f"select entity_id from silver.entities@{ids[1]} anti join early using (entity_id)")
        counts = f"(select count(*) from late) as late, (select count(*) from entities@{ids[2]}) as now"
        expected = {"late": 1, "now": 3}
        assert lh.fetch(lake, f"select {counts}") == [expected]
        with lake.stream("select entity_id from late", batch_size=1, columns=["entity_id"]) as stream:
            assert stream.rows == 1
        also = {"old": tmp_path / "lake"}
        # Names of ours were those of places in the text: at some of these distances two of them met.
        for blanks in range(0, 12, 2):
            text = f"select {'1, ' * blanks} {counts}, (select count(*) from old.entities) as old"
            row = user_query(lake.home, text, also=also).to_pylist()[0]
            assert {name: row[name] for name in ("late", "now", "old")} == {**expected, "old": 3}
        with pytest.raises(QueryRefusedError, match="read by late"):
            drop_view(lake, "early")
        with pytest.raises(QueryRefusedError, match="reads itself"):
            save_view(lake, "early", f"select l.entity_id from late l join entities@{ids[0]} using (entity_id)")
        text = "select old.entities.entity_id from old.silver.entities where old.silver.entities.size_bytes = 5"
        assert user_query(lake.home, text, also=also).num_rows == 1


def test_several_lakes_are_read_in_one_query_and_no_other(lake: Lake, tmp_path: Path) -> None:
    with small_lake(tmp_path / "other") as other:
        add_entities(other, ["two", "four"])
        add_opinions(other, [opinion("two", "human:bob", "dog")])
    also: dict[str, Any] = {"old": tmp_path / "other"}
    text = "select entities.entity_id, l.label from entities join old.silver.entities o using (entity_id) left join " \
        "old.labels l on l.subject_id = entities.entity_id"
    assert [row["label"] for row in user_query(lake.home, text, also=also).to_pylist()] == ["dog"]
    own = "select old.n from (select count(*) as n from old.entities) as old"
    assert user_query(lake.home, own, also=also).to_pylist() == [{"n": 2}]
    assert _sql(lake, text, "--also", f"old={tmp_path / 'other'}") == 0
    with pytest.raises(QueryRefusedError, match=r"no table or view `old.entitys`"):
        user_query(lake.home, "select * from old.entitys", also=also)
    with pytest.raises(QueryRefusedError, match=r"no table or view `old.entities`"):
        user_query(lake.home, "select * from old.entities")
    with pytest.raises(QueryRefusedError, match="catalogs are not allowed|no table or view"):
        user_query(lake.home, "select * from new.silver.entities", also=also)
    with pytest.raises(ConfigError, match="no name for a lake"):
        user_query(lake.home, "select 1 as a", also={"silver": tmp_path / "other"})
    with pytest.raises(TableNotFoundError, match="no lake at"):
        user_query(lake.home, "select 1 as a", also={"old": tmp_path / "none"})


def test_the_commands_of_the_document_run(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with small_lake(tmp_path / "my_lake") as own:
        add_entities(own, ["one", "two", "three"])
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```sh\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    commands = [line for block in blocks for line in block.splitlines()]
    assert len(commands) >= 12
    for command in commands:
        if "materialise" not in command:  # of entities without bytes
            assert main(shlex.split(command.replace("\\$", "$"))[1:]) == 0, command
    shown = capsys.readouterr().out
    assert "large ones" in shown
    assert "nothing new" in shown
