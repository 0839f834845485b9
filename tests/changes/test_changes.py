"""Virtual datasets: trademarks come in deliveries, some go again, and each training set is a choice of changes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

import lakehouse as lh
from jobs.cli import main
from lakehouse.changes.reading import rows_of
from lakehouse.changes.recording import add_change, revert_change
from lakehouse.datasets.build import build
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.errors import ConfigError, RecipeError
from lakehouse.query import fetch
from tests.making import Clock, small_lake

DELIVERIES = {"tm1": range(4), "tm2": range(3, 7), "tm3": range(7, 9), "tm4": range(9, 12)}
"""Delivery -> its trademarks; number 3 is in two of them."""


def deliver(lake, folder: Path, name: str) -> None:
    (folder / name).mkdir()
    for number in DELIVERIES[name]:
        Image.new("RGB", (8, 8), (number * 20, 1, 2)).save(folder / name / f"{number}.png")
    lh.land(lake, lh.Source(name=name, folder=str(folder / name)))
    lh.entities(lake)


def recipe(name, **changes):
    return parse_recipe({"name": name, "changes": {"of": "trademarks", **changes}}, where="recipe")


def members(lake, receipt) -> set[int]:
    text = """
        select distinct s.path from gold.dataset_members m join silver.entity_sources s on s.entity_id = m.entity_id
        where m.dataset_id = $id
    """
    return {int(Path(row["path"]).stem) for row in fetch(lake, text, params={"id": receipt.details["dataset_id"]})}


def objects(lake) -> int:
    return sum(path.is_file() for path in (Path(lake.root) / "objects").rglob("*"))


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    """The lake after the story, and what was built on the way: docs/trademarks.md tells it."""
    folder = tmp_path_factory.mktemp("story")
    built = {}
    with small_lake(folder / "lake", clock=Clock()) as lake:
        deliver(lake, folder, "tm1")
        add_change(lake, "trademarks", sources=["tm1"], message="first delivery")
        built["tm1"] = build(lake, recipe("first"))
        for name in ("tm2", "tm3"):
            deliver(lake, folder, name)
            add_change(lake, "trademarks", sources=[name], tags=["spring"])
        built["tm1 + tm2 + tm3"] = build(lake, recipe("second"))
        add_change(lake, "trademarks", sources=["tm2"], drop=True, message="licence ended")
        built["without tm2"] = build(lake, recipe("third"))
        deliver(lake, folder, "tm4")
        add_change(lake, "trademarks", sources=["tm4"])
        built["tm2 + tm4"] = build(lake, recipe("fourth", only=[2, 5]))
        yield lake, built


def test_four_training_sets_come_from_one_stored_copy_of_each_picture(story):
    lake, built = story
    found = {name: members(lake, receipt) for name, receipt in built.items()}
    assert found == {
        "tm1": {0, 1, 2, 3},
        "tm1 + tm2 + tm3": set(range(9)),
        # Number 3 came with both deliveries, and went with the second: the last word counts.
        "without tm2": {0, 1, 2, 7, 8},
        "tm2 + tm4": {3, 4, 5, 6, 9, 10, 11},
    }
    assert objects(lake) == 12
    assert {row["op"] for row in rows_of(lake, "trademarks")} == {"add", "drop"}


def test_each_change_tells_what_it_named_and_what_it_changed(story):
    lake, _ = story
    first, second, third, dropped, fourth = rows_of(lake, "trademarks")[:5]
    assert [row["number"] for row in (first, second, third, dropped, fourth)] == [1, 2, 3, 4, 5]
    assert [(row["statistics"]["came"], row["statistics"]["went"]) for row in (second, dropped)] == [(3, 0), (0, 4)]
    assert second["statistics"]["entities"] == 4
    assert second["statistics"]["media_types"] == {"image/png": 4}
    assert second["statistics"]["sources"] == {"tm1": 1, "tm2": 4}
    assert (first["message"], second["tags"]) == ("first delivery", ["spring"])
    assert second["selection"] == {"sources": ["tm2"]}


def test_deliveries_that_are_not_chosen_rename_nothing(story):
    lake, _ = story
    again = build(lake, recipe("fixed", upto=1))
    add_change(lake, "trademarks", sources=["tm4"], tags=["late"])
    assert build(lake, recipe("fixed", upto=1)).details["dataset_id"] == again.details["dataset_id"]


def test_a_change_is_taken_back_and_later_ones_stay(tmp_path):
    with small_lake(tmp_path / "lake", clock=Clock()) as lake:
        for name in DELIVERIES:
            deliver(lake, tmp_path, name)
            add_change(lake, "trademarks", sources=[name])
        reverted = revert_change(lake, "trademarks", 2, message="wrong folder")
        assert reverted.counts == {"came": 0, "went": 3}
        assert members(lake, build(lake, recipe("a"))) == {0, 1, 2, 3, *range(7, 12)}
        with pytest.raises(ConfigError, match="change 2 is taken back already"):
            revert_change(lake, "trademarks", 2)
        with pytest.raises(ConfigError, match="no change 9; it has 1 to 5"):
            revert_change(lake, "trademarks", 9)
        assert revert_change(lake, "trademarks", 5).counts == {"came": 3, "went": 0}
        assert members(lake, build(lake, recipe("b"))) == set(range(12))


def test_the_same_change_again_is_no_change(tmp_path):
    with small_lake(tmp_path / "lake", clock=Clock()) as lake:
        deliver(lake, tmp_path, "tm1")
        first = add_change(lake, "trademarks", sources=["tm1"])
        again = add_change(lake, "trademarks", sources=["tm1"])
        assert (first.details["number"], again.details["number"]) == ("1", "1")
        assert [note.rule for note in again.notes] == ["no_change"]
        text = "select entity_id from entities where size_bytes > $n"
        named = add_change(lake, "trademarks", sql=text, params={"n": 1})
        assert named.details["number"] == "1", "the same entities, named otherwise"
        assert add_change(lake, "trademarks", sources=["tm1"], tags=["x"]).details["number"] == "2"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sources": ["tm9"]}, "no entity came from source `tm9`; did you mean `tm"),
        ({"sql": "select 'x' as entity_id"}, "1 of 1 ids that the query returns"),
        ({"sql": "select 1 as one"}, "must return entity_id"),
        ({"sql": "select entity_id from entities where false"}, "names no entity"),
        ({}, "by sources, or by one query"),
        ({"sources": ["tm1"], "tags": ["Not A Tag"]}, "tag 'Not A Tag'"),
        ({"sources": ["tm1"], "name": "a/b"}, "name 'a/b'"),
    ],
)
def test_a_change_that_cannot_be_is_refused(story, given, message):
    lake, _ = story
    before = len(rows_of(lake))
    with pytest.raises(ConfigError, match=r".*") as caught:
        add_change(lake, **{"name": "trademarks"} | given)
    assert message in str(caught.value)
    assert len(rows_of(lake)) == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"of": "trademark"}, "did you mean `trademarks`?"),
        ({"only": [99]}, "has no change 99"),
        ({"tags": ["sprung"]}, "did you mean `spring`?"),
        ({"only": [1], "without": [1]}, "both have 1"),
        ({"only": [0]}, "numbers from 1"),
        ({"only": [1], "upto": 1, "tags": ["spring"]}, "no change of `trademarks` is left"),
        ({"of": "", "only": [1]}, "changes.of is missing"),
    ],
)
def test_a_recipe_that_chooses_no_change_is_refused(story, changes, message):
    lake, _ = story
    with pytest.raises((RecipeError, ConfigError)) as caught:
        build(lake, recipe("wrong", **changes))
    assert message in str(caught.value)


def test_the_commands_tell_the_story(tmp_path, capsys):
    with small_lake(tmp_path / "lake", clock=Clock()) as lake:
        deliver(lake, tmp_path, "tm1")
        at = ["--lake", str(lake.root)]
    assert main(["changes", "add", "trademarks", "--source", "tm1", "--tag", "spring", "--message", "one", *at]) == 0
    assert main(["changes", "drop", "trademarks", "--sql", "select entity_id from entities limit 1", *at]) == 0
    assert main(["changes", "revert", "trademarks", "2", *at]) == 0
    capsys.readouterr()
    assert main(["changes", "list", "trademarks", "--json", *at]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["op"], row["stands"], row["reverts"]) for row in rows] == [
        ("add", True, None), ("drop", False, None), ("revert", False, 2)
    ]  # fmt: skip
    assert main(["changes", *at]) == 0
    assert "spring" in capsys.readouterr().out
