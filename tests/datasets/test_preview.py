"""plan: tells what `build` then does, number for number, and writes nothing."""

from __future__ import annotations

import json

import pytest

from jobs.cli import main
from lakehouse.datasets import preview
from lakehouse.datasets.build import build
from lakehouse.datasets.preview import plan_dataset
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.datasets.versions.catalogue import dataset_record, dataset_versions
from lakehouse.errors import RecipeError
from lakehouse.query import fetch
from lakehouse.tables.read import head
from schemas.tables import TABLES
from tests.making import Clock, add_entities, add_opinions, opinion, small_lake

LABELS = {f"n{number:02}": "cat" if number < 12 else "dog" if number < 17 else "emu" for number in range(20)}
LABELLED = {"name": "zoo", "question": "animal", "split": {"ratios": {"train": 0.5, "test": 0.5}}}


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    with small_lake(tmp_path_factory.mktemp("zoo") / "lake", clock=Clock()) as lake:
        add_entities(lake, [*LABELS, "unlabelled", "disputed"])
        add_opinions(lake, [opinion(name, "human:ada", label) for name, label in LABELS.items()])
        add_opinions(lake, [opinion("disputed", f"human:{who}", label) for who, label in (("a", "cat"), ("b", "dog"))])
        yield lake


def recipe(**more):
    return parse_recipe(LABELLED | more, where="zoo.toml")


def test_a_plan_is_what_the_build_then_gives(zoo):
    wanted = recipe(strata={"by": ["label"], "max": 6, "cells": {"emu": 2}}, seed=3)
    before = {table.name: head(zoo.root, table) for table in TABLES}
    plan = plan_dataset(zoo, wanted)
    assert {table.name: head(zoo.root, table) for table in TABLES} == before
    assert not plan.is_built
    receipt = build(zoo, wanted)
    assert plan.dataset_id == receipt.details["dataset_id"]
    assert (plan.considered, plan.members) == (receipt.counts["considered"], receipt.counts["members"]) == (22, 13)
    assert {row["split"]: row["members"] for row in plan.splits} == dataset_record(zoo, plan.dataset_id)["splits"]
    text = "select reason, count(*) as entities, min(detail) as example from gold.dataset_exclusions "
    excluded = fetch(zoo, text + "where dataset_id = $id group by reason", params={"id": plan.dataset_id})
    assert sorted(map(str, plan.excluded)) == sorted(map(str, excluded))
    assert plan.problems == []
    assert plan_dataset(zoo, wanted).is_built


@pytest.mark.parametrize("more", [
    {},
    {"question": ""},
    {"strata": {"by": ["label"]}},
    {"label": {"only": ["cat", "emu"], "quorum": 2}},
    {"label": {"only": ["emu"]}, "split": {"ratios": {"train": 0.0, "test": 1.0}}},
    {"select": {"sql": "select entity_id, 1 as one from entities where entity_id > 'a'"}},
    {"label": {"quorum": 9}},
], ids=str)  # fmt: skip
def test_what_is_counted_in_one_pass_is_what_is_counted_row_by_row(zoo, monkeypatch, more):
    wanted = recipe(**more)
    at_once = plan_dataset(zoo, wanted)
    monkeypatch.setattr(preview, "are_all_in", lambda _: False)
    assert plan_dataset(zoo, wanted) == at_once


def test_cells_tell_what_is_wanted_available_and_taken_and_what_might_fill_them(zoo):
    plan = plan_dataset(zoo, recipe(strata={"by": ["label"], "max": 10, "cells": {"emu": 4, "yak": 2}}))
    nothing = {"borrowed": {}, "lent": 0, "short": 0, "least": 0, "gap": 0, "fillers": {}, "fill": {}}
    cells = {row.pop("stratum"): row for row in plan.cells}
    # The unlabelled one may be of any label; of the disputed one both are said, and the first counts.
    assert cells == {
        "cat": nothing | {"wanted": 10, "available": 12, "taken": 10},
        "dog": nothing | {"wanted": 10, "available": 5, "taken": 5, "gap": 5,
                          "fill": {"label": 1, "acquire": 4, "augment": 1}},
        "emu": nothing | {"wanted": 4, "available": 3, "taken": 3, "gap": 1, "fill": {"label": 1, "augment": 1}},
        "yak": nothing | {"wanted": 2, "available": 0, "taken": 0, "gap": 2, "fill": {"label": 1, "acquire": 1}},
    }  # fmt: skip
    assert [str(note) for note in plan.notes if note.rule == "empty_cell"] == [
        "empty_cell (1): strata names 'yak', which nothing selected is in; known: cat, dog, emu"
    ]
    by_origin = plan_dataset(zoo, recipe(strata={"by": ["origin"], "max": 30}))
    assert by_origin.cells == [nothing | {
        "stratum": "real", "wanted": 30, "available": 20, "taken": 20, "gap": 10, "fillers": {"no_label": 1, "tie": 1},
        "fill": {"settle": 1, "label": 1, "acquire": 8, "augment": 1},
    }]  # fmt: skip


def test_what_would_stop_the_build_is_told_and_the_build_stops_by_it(zoo):
    wanted = recipe(strata={"by": ["label"], "min": 5})
    plan = plan_dataset(zoo, wanted)
    with pytest.raises(RecipeError) as stopped:
        build(zoo, wanted)
    assert plan.problems == [str(stopped.value)]
    assert "emu has 3" in plan.problems[0]
    nobody = recipe(label={"policy": "majority", "quorum": 99})
    assert plan_dataset(zoo, nobody).problems == ["recipe zoo: no entity becomes a member"]


def test_a_recipe_that_cannot_be_followed_is_refused_as_by_the_build(zoo):
    with pytest.raises(RecipeError, match="selects no entity"):
        plan_dataset(zoo, recipe(select={"sql": "select entity_id from entities where false"}))


def test_versions_and_records_are_what_was_built(zoo):
    first = build(zoo, recipe(name="two", seed=1)).details["dataset_id"]
    zoo.clock.forward(hours=1)
    second = build(zoo, recipe(name="two", seed=2)).details["dataset_id"]
    assert [row["dataset_id"] for row in dataset_versions(zoo, "two")] == [second, first]
    found = dataset_record(zoo, "two")
    assert found["dataset_id"] == second
    assert sum(row["members"] for row in found["labels"]) == found["members"] == 20
    assert {row["reason"]: row["entities"] for row in found["excluded"]} == {"no_label": 1, "tie": 1}
    assert found["recipe"]["seed"] == 2


def test_the_commands_say_it_to_people_and_programs(zoo, tmp_path, capsys):
    path = tmp_path / "zoo.toml"
    path.write_text(
        'name = "told"\nquestion = "animal"\n[split]\nratios = { train = 0.5, test = 0.5 }\n'
        '[strata]\nby = ["label"]\nmin = 4\n'
    )
    lake = ["--lake", str(zoo.root)]
    assert main(["dataset", "check", "--recipe", str(path)]) == 0
    assert main(["dataset", "plan", *lake, "--recipe", str(path)]) == 1
    out = capsys.readouterr().out
    assert "told: no mistake found" in out
    assert "the build would stop: recipe told: strata below strata.min = 4: emu has 3" in out
    path.write_text(path.read_text().replace("min = 4", "min = 3"))
    assert main(["dataset", "plan", *lake, "--recipe", str(path), "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert main(["build", *lake, "--recipe", str(path)]) == 0
    capsys.readouterr()
    assert main(["dataset", "list", *lake, "told", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["dataset_id"] == plan["dataset_id"]
    assert main(["dataset", "show", *lake, "told"]) == 0
    assert plan["dataset_id"] in capsys.readouterr().out
    page = tmp_path / "diff.html"
    assert main(["dataset", "diff", *lake, "told", "told", "--html", str(page)]) == 0
    assert "no member differs" in capsys.readouterr().out
    assert "<script" not in page.read_text()
    assert "told" in page.read_text()
    assert main(["dataset", "list", *lake, "tolt"]) == 1
    assert "did you mean `told`" in capsys.readouterr().err
    path.write_text('name = "told"\nquestoin = "animal"\n')
    assert main(["dataset", "check", "--recipe", str(path)]) == 1
    assert "did you mean `question`" in capsys.readouterr().out
