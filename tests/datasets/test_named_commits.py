"""`name@commit` in the SQL of recipes and of `materialise --query`: asked once, and then the same for ever."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jobs.common import guarded
from lakehouse.care.erase import erase
from lakehouse.care.maintain import maintain
from lakehouse.commits.branching import make_branch
from lakehouse.commits.making import commit
from lakehouse.commits.naming import find_commit
from lakehouse.commits.tagging import tag_commit
from lakehouse.datasets.build import build
from lakehouse.datasets.preview import plan_dataset
from lakehouse.datasets.recipes.recipe import Recipe, parse_recipe, recipe_of
from lakehouse.errors import RecipeError, VersionUnavailableError
from lakehouse.lake import Lake
from lakehouse.materialise.querying import query_recipe
from lakehouse.opinions.predictions import record_opinions
from lakehouse.query import fetch
from tests.making import Clock, add_dimension, add_entities, add_opinions, entity_id, opinion, small_lake


def recipe(sql: str, **said: object) -> Recipe:
    return parse_recipe({"name": "then", "select": {"sql": sql}, "split": {"ratios": {"all": 1.0}}, **said}, where="r")


def members(lake: Lake, dataset_id: str) -> set[str]:
    rows = fetch(lake, "select entity_id from gold.dataset_members where dataset_id = $id", params={"id": dataset_id})
    return {row["entity_id"] for row in rows}


def ids(names: str) -> set[str]:
    return {entity_id(name) for name in names}


def built(lake: Lake, sql: str) -> str:
    return str(build(lake, recipe(sql)).details["dataset_id"])


def test_a_branch_is_asked_once_and_what_it_gets_later_changes_no_version(tmp_path: Path) -> None:
    sql = "select o.subject_id as entity_id from silver.opinions@relabel o where o.label = 'cat'"
    with small_lake(tmp_path / "lake") as lake:
        add_entities(lake, ["a", "b", "c"])
        commit(lake, "three")
        make_branch(lake, "relabel")
        with small_lake(tmp_path / "lake", 'lake.branch="relabel"') as branch:
            add_opinions(branch, [opinion("a", "human:ann", "cat")])
            commit(branch, "a is a cat")
            first = built(lake, sql)
            assert members(lake, first) == ids("a")
            (row,) = fetch(lake, "select recipe_json, pins_json from gold.datasets")
            exact = recipe_of(json.loads(row["recipe_json"]), where="it")
            add_opinions(branch, [opinion("b", "human:ann", "cat")])
            commit(branch, "b too")
        assert "@relabel" not in exact.select.sql
        assert plan_dataset(lake, exact).dataset_id == first
        assert members(lake, first) == ids("a")
        assert any(name.startswith("silver.opinions@") for name in json.loads(row["pins_json"]))
        second = built(lake, sql)
        assert members(lake, second) == ids("ab")
        assert plan_dataset(lake, recipe(sql)).dataset_id == second != first


def test_an_id_hangs_on_what_is_read_at_a_commit_and_not_on_which_commit_it_is(lake: Lake) -> None:
    sql = "select e.entity_id from entities@HEAD e join silver.entities@main f using (entity_id)"
    add_entities(lake, ["a", "b"])
    commit(lake, "two")
    first = build(lake, recipe(sql))
    # The build itself is a commit by now.
    again = build(lake, recipe(sql))
    assert again.details["dataset_id"] == first.details["dataset_id"]
    assert again.writes == ()
    add_dimension(lake, "brightness", {"a": 1})
    commit(lake, "measured")
    assert plan_dataset(lake, recipe(sql)).is_built
    add_entities(lake, ["c"])
    commit(lake, "three")
    assert members(lake, built(lake, sql)) == ids("abc")
    assert built(lake, sql) != first.details["dataset_id"]


def test_views_at_tags_and_times_stand_beside_those_of_now(lake: Lake, clock: Clock) -> None:
    add_entities(lake, ["a", "b"])
    add_dimension(lake, "brightness", {"a": 1, "b": 9})
    tag_commit(lake, "paper", commit(lake, "two").commit_id)
    clock.forward(days=1)
    add_dimension(lake, "brightness", {"a": 9, "b": 9}, version=2)
    add_entities(lake, ["c"])
    commit(lake, "three")
    dim = "select entity_id from entities_wide@paper where brightness < 5"
    assert members(lake, built(lake, dim)) == ids("a")
    since = "select e.entity_id from entities e anti join entities@{2026-01-01} o using (entity_id)"
    assert members(lake, built(lake, since)) == ids("c")
    add_dimension(lake, "brightness", {"c": 1}, version=2)
    assert plan_dataset(lake, recipe(dim)).is_built
    cut = query_recipe(lake, "select entity_id from entities@paper order by entity_id limit 1").select.sql
    assert members(lake, built(lake, cut)) == {min(ids("ab"))}


def test_what_a_version_reads_of_a_commit_is_kept_and_what_is_gone_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock()
    with small_lake(tmp_path / "lake", clock=clock) as lake:
        commits = []
        for name in "abc":
            add_entities(lake, [name])
            record_opinions(lake, [{"entity_id": entity_id(name), "label": "cat"}], source="round", question="animal",
                            actor="human:ann")  # fmt: skip
            commits.append(find_commit(lake.home, "HEAD").commit_id)
        said = {each: f"select subject_id as entity_id from silver.opinions@{each}" for each in commits}
        kept = built(lake, said[commits[1]])
        clock.forward(days=400)
        maintain(lake, few=0)
        clock.forward(days=400)
        maintain(lake, few=0)
        assert members(lake, kept) == ids("ab")
        assert plan_dataset(lake, recipe(said[commits[1]])).members == 2
        erase(lake, entities=[entity_id("a")], reason="asked to")
        maintain(lake, few=0)
        clock.forward(days=400)
        maintain(lake, few=0)
        for follow in (build, plan_dataset):
            with pytest.raises(VersionUnavailableError, match="silver.opinions") as caught:
                follow(lake, recipe(said[commits[1]], name="again"))
            # Though this lake looked at the version before it went.
            assert caught.value.__notes__ == [f"recipe again: select.sql reads silver.opinions@{commits[1]}"]

        def asked() -> int:
            plan_dataset(lake, recipe(said[commits[1]], name="again"))
            return 0

        assert guarded(asked, verbose=False) == 1
        assert f"; recipe again: select.sql reads silver.opinions@{commits[1]}\n" in capsys.readouterr().err


@pytest.mark.parametrize(("sql", "words"), [
    ("select entity_id from entities@papr", "no commit, tag or branch is called so; did you mean `paper`"),
    ("select entity_id from entites@paper", "no table or view `entites` to read @paper; did you mean `entities`"),
])  # fmt: skip
def test_names_of_nothing_are_errors_that_help(lake: Lake, sql: str, words: str) -> None:
    add_entities(lake, ["a"])
    tag_commit(lake, "paper", commit(lake, "one").commit_id)
    for follow in (build, plan_dataset):
        with pytest.raises(RecipeError, match=words):
            follow(lake, recipe(sql))
