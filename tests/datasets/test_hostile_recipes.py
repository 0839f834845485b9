"""Recipes whose texts are attacks: each is refused by name or is a text like any other, and nothing is executed."""

from __future__ import annotations

import collections
import json
import shutil
import sys
from datetime import UTC, datetime

import duckdb
import pytest

import lakehouse as lh
from jobs.cli import main
from lakehouse.changes.recording import add_change
from lakehouse.datasets.build import build
from lakehouse.datasets.preview import plan_dataset
from lakehouse.datasets.recipes.files import FILE_KEYS
from lakehouse.datasets.recipes.mistakes import mistakes_in
from lakehouse.datasets.recipes.recipe import load_recipe, parse_recipe, recipe_of
from lakehouse.datasets.recipes.schema import recipe_schema
from lakehouse.datasets.recipes.starting import starting_recipe
from lakehouse.errors import PetrelError, printable
from lakehouse.query import fetch
from lakehouse.tables.read import pin_heads
from schemas.canonical import canonical_json
from schemas.tables import BY_NAME
from tests.datasets.hostile import INJECTIONS, Trap, places, record_with, toml_of
from tests.lanes import examples
from tests.making import add_entities, add_opinions, opinion, small_lake

PLACES = dict(places(recipe_schema()))
EACH = examples(2, long=len(INJECTIONS))
"""Attacks on each place; the places together meet all of them in every lane."""

NAMES = [f"n{number:02}" for number in range(12)]
SILVER = [name for name in BY_NAME if not name.startswith("gold.")]


def attacks(number: int) -> list[str]:
    return [INJECTIONS[(number * EACH + each) % len(INJECTIONS)] for each in range(EACH)]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    with small_lake(folder / "lake") as lake:
        add_entities(lake, NAMES, groups={name: {"speaker": f"s{name[-1]}"} for name in NAMES})
        add_opinions(lake, [opinion(name, "human:ada", "cat" if name < "n06" else "dog") for name in NAMES])
        add_change(lake, "animals", sql="select entity_id from entities", tags=["spring"])
        build(lake, parse_recipe({"name": "base", "question": "animal"}, where="test"))
    return folder / "lake"


@pytest.fixture(scope="module")
def trap(tmp_path_factory):
    trap = Trap(tmp_path_factory.mktemp("trap") / "canary")
    yield trap
    trap.close()


@pytest.fixture
def attacked(made, tmp_path, monkeypatch):
    shutil.copytree(made, tmp_path / "lake")
    monkeypatch.chdir(tmp_path)
    with small_lake(tmp_path / "lake", clock=lambda: datetime.now(UTC)) as lake:
        yield lake


def told(error: PetrelError) -> None:
    """Look at what a person would see."""
    assert Trap.SECRET not in str(error)
    assert printable(str(error)).isprintable()
    assert len(str(error)) < 2_000 + 4 * 300_000


def met(lake, path, record, place, *, planned) -> str:
    """Follow a recipe as far as it goes; `planned`: not without a plan before."""
    path.write_bytes(toml_of(record).encode("utf-8", "surrogatepass"))
    try:
        recipe = load_recipe(path)
    except PetrelError as error:
        told(error)
        recipe = None
    try:
        found = mistakes_in(path)
        assert found or recipe is not None
        assert not any(Trap.SECRET in each.message for each in found)
    except PetrelError as error:
        told(error)
        assert recipe is None
    if recipe is None:
        return "refused as text"
    if place[0] not in FILE_KEYS:
        assert recipe == parse_recipe(record, where="the values")
    recorded = json.loads(canonical_json(recipe.canonical()))
    assert recipe_of(recorded, where="recorded").canonical() == recipe.canonical()
    try:
        if planned:
            plan_dataset(lake, recipe)
        receipt = build(lake, recipe)
    except PetrelError as error:
        told(error)
        return "refused by the lake"
    assert lh.find_dataset(lake, receipt.details["dataset_id"]).recipe == recorded
    return "taken as it is"


def test_there_are_a_hundred_attacks_and_every_text_of_a_recipe_is_a_place():
    assert len(INJECTIONS) >= 100
    dotted = {".".join(place) for place in PLACES}
    assert len(dotted) == len(PLACES) > 50
    assert {"name", "select.sql", "select.where.<key>", "label.map.<value>", "split.group.<item>", "extends"} <= dotted
    assert {INJECTIONS.index(text) for number in range(len(PLACES)) for text in attacks(number)} == set(
        range(len(INJECTIONS))
    )


def test_the_trap_tells_of_what_it_is_there_for(trap):
    duckdb.sql(f"select * from read_csv('{trap.file}')").fetchall()
    assert set(trap.sprung()) == {"canary.csv"}
    duckdb.sql(f"copy (select 1) to '{trap.folder}/new.csv'")
    assert "new.csv" in trap.sprung()
    (trap.folder / "new.csv").unlink()
    assert trap.sprung() == ["new.csv"]
    assert trap.sprung() == []


@pytest.mark.parametrize("place", PLACES, ids=".".join)
def test_attacks_in_a_place_are_refused_or_are_texts_like_any_other(attacked, trap, tmp_path, place):
    before = pin_heads(attacked, SILVER)
    counts: collections.Counter[str] = collections.Counter()
    for number, text in enumerate(map(trap.fill, attacks(list(PLACES).index(place)))):
        record = record_with(place, text, PLACES[place])
        counts[met(attacked, tmp_path / "recipe.toml", record, place, planned=number % 8 == 0)] += 1
        sprung = trap.sprung()
        # Which file a recipe extends is for its author to say; what stands in it is not told.
        assert sprung == [] or (place == ("extends",) and set(sprung) == {"canary.csv"}), text
    assert counts.total() == EACH
    assert pin_heads(attacked, SILVER) == before
    assert fetch(attacked, "select count(*) as n from entities") == [{"n": len(NAMES)}]
    assert fetch(attacked, "select members from gold.datasets where name = 'base'") == [{"members": len(NAMES)}]
    sys.stderr.write(f"{'.'.join(place)} {dict(counts)}\n")


def test_attacks_are_told_in_lines_of_their_own_that_no_terminal_obeys(attacked, trap, tmp_path, capsys):
    path = tmp_path / "recipe.toml"
    for text in map(trap.fill, INJECTIONS[:: examples(7, long=1)]):
        record = {"name": text, text: 1, "label": {"only": [text], text: text}}
        path.write_bytes(toml_of(record).encode("utf-8", "replace"))
        main(["dataset", "check", "--recipe", str(path)])
        main(["dataset", "plan", "--lake", str(attacked.root), "--recipe", str(path)])
        main([text])
        out, error = capsys.readouterr()
        assert [line for line in (out + error).removesuffix("\n").split("\n") if not line.isprintable()] == []
        assert error.count("\n") <= 2
        assert error.count("petrel: ") == error.count("\n")


def test_a_first_recipe_from_a_lake_full_of_attacks_asks_for_them_as_they_are(attacked, trap, tmp_path):
    texts = [text for text in map(trap.fill, INJECTIONS) if not {"\0", "\ud800"} & set(text) and len(text) < 10_000]
    add_entities(attacked, texts, groups={text: {text: "value"} for text in texts})
    add_opinions(attacked, [opinion(text, "human:ada", text, question=text) for text in texts])
    for text in texts[:: examples(9, long=1)]:
        path = tmp_path / "first.toml"
        path.write_text(starting_recipe(attacked, "first", text), encoding="utf-8")
        recipe = load_recipe(path)
        assert (recipe.name, recipe.question) == ("first", text)
        assert recipe.split.group in texts
        found = plan_dataset(attacked, recipe)
        assert (found.members, found.problems) == (1, [])
        assert [row["label"] for row in found.labels] == [text]
        assert all(line.isprintable() for line in path.read_text(encoding="utf-8").split("\n"))
    assert trap.sprung() == []
