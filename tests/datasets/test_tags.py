"""Tags: they name one version each, move by a row more, stand wherever a dataset is named, and hold what it pins."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from jobs.cli import main as petrel
from lakehouse.care.compact import compact
from lakehouse.care.maintain import maintain
from lakehouse.datasets.build import build
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.datasets.versions.find import find_dataset
from lakehouse.datasets.versions.tags import dataset_tags, tag_dataset
from lakehouse.errors import ConfigError, RecipeError
from lakehouse.exporting.rows import select
from lakehouse.query import fetch
from schemas.tables import ENTITIES
from tests.making import Clock, add_entities, small_lake


def made(lake, name="zoo", **more) -> str:
    return build(lake, parse_recipe({"name": name} | more, where="zoo.toml")).details["dataset_id"]


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    """Two versions of `zoo`, and `old`, `paper` on the first of them."""
    root = tmp_path_factory.mktemp("tags") / "lake"
    clock = Clock()
    with small_lake(root, 'lake.author="Ada"', clock=clock) as lake:
        add_entities(lake, [f"n{number}" for number in range(8)])
        first = made(lake)
        clock.forward(seconds=1)  # which was built last tell the receipts, by their times
        second = made(lake, seed=1)
        tag_dataset(lake, f"zoo@{first[:8]}", "old")
        tag_dataset(lake, first, "paper", message="what the paper was trained on")
        yield lake, first, second


def test_a_version_is_found_by_tag_by_the_beginning_of_its_id_and_by_both_with_its_name(zoo):
    lake, first, second = zoo
    assert find_dataset(lake, "zoo").dataset_id == second
    for text in (first, first[:6], first[:31], "zoo@paper", "zoo@old", f"zoo@{first}", f"zoo@{first[:10]}"):
        assert find_dataset(lake, text).dataset_id == first, text
    assert select(lake, "zoo@paper", None).about["dataset_id"] == first


@pytest.mark.parametrize(("text", "said"), [
    ("zoo@papre", "did you mean `paper`"), ("zoo@000000", "no version 000000"), ("zoo@", "has no tag ``"),
    ("zo@paper", "has no tag"), ("000000", "no dataset `000000`"),
])  # fmt: skip
def test_what_names_no_version_is_told_with_what_does(zoo, text, said):
    with pytest.raises(RecipeError, match=said):
        find_dataset(zoo[0], text)


@pytest.mark.parametrize("tag", ["", "a b", "-a", "x" * 65, "3f2c91", "a/b", "ä", "deadbeef" * 4])
def test_what_no_tag_can_be_is_refused(zoo, tag):
    with pytest.raises(ConfigError, match="expected up to 64"):
        tag_dataset(zoo[0], "zoo", tag)


def test_the_same_tag_again_adds_nothing_and_one_that_moves_is_a_row_more_and_says_so(tmp_path):
    with small_lake(tmp_path / "lake", 'lake.author="Ada"') as lake:
        add_entities(lake, ["a", "b"])
        first, second = made(lake), made(lake, seed=1)
        assert tag_dataset(lake, first, "best").counts == {"new": 1, "moved": 0}
        assert tag_dataset(lake, first, "best", message="again").counts == {"new": 0, "moved": 0}
        moved = tag_dataset(lake, second, "best", message="better")
        assert moved.counts == {"new": 1, "moved": 1}
        assert moved.details["moved_from"] == first
        (note,) = moved.notes
        assert (note.rule, first in note.example, second in note.example) == ("tag_moved", True, True)
        rows = [(row["ordinal"], row["dataset_id"], row["holds"], row["message"], row["tagged_by"])
                for row in dataset_tags(lake, "zoo")]  # fmt: skip
        assert rows == [(2, second, True, "better", "Ada"), (1, first, False, None, "Ada")]
        assert find_dataset(lake, "zoo@best").dataset_id == second
        assert tag_dataset(lake, first, "best").counts == {"new": 1, "moved": 1}
        assert find_dataset(lake, "zoo@best").dataset_id == first
        built = fetch(lake, "select dataset_id, built_by from gold.datasets order by dataset_id")
        assert built == [{"dataset_id": each, "built_by": "Ada"} for each in sorted([first, second])]


def test_maintenance_keeps_what_a_tagged_version_needs_and_says_which_tag_needs_it(tmp_path):
    clock = Clock()
    with small_lake(tmp_path / "lake", clock=clock) as lake:
        for number in range(6):
            add_entities(lake, [f"n{number}"])
        dataset = made(lake)
        tag_dataset(lake, dataset, "paper")
        pins = json.loads(fetch(lake, "select pins_json from gold.datasets")[0]["pins_json"])
        ids = fetch(lake, "select entity_id from silver.entities order by entity_id", pins=pins)
        compact(lake, ENTITIES)
        clock.forward(days=3650)
        done = maintain(lake, tables=[ENTITIES.name], grace=timedelta(0))
        assert done.counts["removed"] == 0
        assert done.counts["pinned"] == 6 + 6  # by the dataset, and by the newest commit
        (note,) = [each for each in done.notes if each.rule == "pinned"]
        assert "@paper" in note.example
    with small_lake(tmp_path / "lake", clock=clock) as lake:
        assert fetch(lake, "select entity_id from silver.entities order by entity_id", pins=pins) == ids


def test_the_commands_tag_and_show(zoo, tmp_path, capsys):
    lake, first, _ = zoo
    where = ["--lake", str(lake.root)]
    assert petrel(["dataset", "tag", *where, "zoo@old", "v1", "--message", "one\x1b[31m"]) == 0
    assert "1 new" in capsys.readouterr().out
    assert petrel(["dataset", "tags", *where]) == 0
    out = capsys.readouterr().out
    assert "v1" in out
    assert "\x1b" not in out
    assert petrel(["dataset", "tags", *where, "zoo", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {row["tag"]: row["dataset_id"] for row in rows} == {"old": first, "paper": first, "v1": first}
    assert petrel(["dataset", "tags", *where, "zo"]) == 1
    assert "did you mean `zoo`" in capsys.readouterr().err
