"""Recipes as text: files that extend others, mistakes with their lines, the schema for editors, a first recipe."""

from __future__ import annotations

import json
import random
import tomllib
from pathlib import Path

import jsonschema
import pytest

from jobs.cli import main
from lakehouse.datasets.build import build
from lakehouse.datasets.recipes.mistakes import mistakes_in
from lakehouse.datasets.recipes.recipe import load_recipe, parse_recipe
from lakehouse.datasets.recipes.schema import schema_text
from lakehouse.datasets.recipes.starting import starting_recipe
from lakehouse.errors import ConfigError, RecipeError
from tests.lanes import examples
from tests.making import add_entities, add_opinions, opinion

REPOSITORY = Path(__file__).resolve().parents[2]
SCHEMA = REPOSITORY / "schemas" / "recipe.schema.json"

BASE = """
name = "base"
question = "animal"
[strata]
by = ["label"]
max = 3
cells = { cat = 1, dog = 2 }
[split]
ratios = { train = 0.5, val = 0.5 }
group = "speaker"
"""


def written(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.toml").write_text(text, encoding="utf-8")
    return folder / f"{next(iter(files))}.toml"


def test_a_recipe_extends_another_key_by_key(tmp_path):
    mine = 'extends = "base.toml"\nname = "mine"\nunset = ["strata.max", "split.group"]\n[strata.cells]\ncat = 9\n'
    found = load_recipe(written(tmp_path, mine=mine, base=BASE))
    whole = """
        name = "mine"
        question = "animal"
        strata = { by = ["label"], cells = { cat = 9, dog = 2 } }
        split = { ratios = { train = 0.5, val = 0.5 } }
    """
    assert found == parse_recipe(tomllib.loads(whole), where="whole")
    assert "extends" not in json.dumps(found.canonical())


def test_ratios_of_the_extended_recipe_are_replaced_as_a_whole(tmp_path):
    mine = 'extends = "base.toml"\n[split]\nratios = { train = 1.0 }\n'
    assert dict(load_recipe(written(tmp_path, mine=mine, base=BASE)).split.ratios) == {"train": 1.0}


def test_a_chain_is_followed_from_each_file_s_own_folder(tmp_path):
    (tmp_path / "team").mkdir()
    written(tmp_path / "team", middle='extends = "../base.toml"\nseed = 4\n')
    found = load_recipe(written(tmp_path, mine='extends = "team/middle.toml"\nname = "mine"\n', base=BASE))
    assert (found.name, found.seed, found.question) == ("mine", 4, "animal")


@pytest.mark.parametrize(
    ("files", "parts"),
    [
        ({"a": 'extends = "b.toml"', "b": 'extends = "a.toml"'}, ["cannot extend itself"]),
        ({"a": 'extends = "a.toml"'}, ["cannot extend itself"]),
        ({"a": "extends = 3"}, ["expected the path", "found 3"]),
        ({"a": 'name = "a"\nunset = ["seed"]'}, ["unset belongs to extends"]),
        ({"a": 'extends = "b.toml"\nunset = ["seed"]', "b": 'name = "b"'}, ["seed is not stated"]),
        ({"a": 'extends = "b.toml"\nunset = "seed"', "b": 'name = "b"\nseed = 1'}, ["list of keys"]),
        ({"a": 'extends = "nowhere.toml"'}, ["nowhere.toml: no such file"]),
    ],
)
def test_wrong_extending_is_refused(tmp_path, files, parts):
    path = written(tmp_path, **files)
    with pytest.raises((RecipeError, ConfigError)) as caught:
        load_recipe(path)
    assert [part for part in parts if part not in str(caught.value)] == []


WRONG = """# every table has a mistake
name = "Bad Name"
seeed = 1
[strata]
by = ["label", "no such"]
maxx = 3
max = -1
[split]
ratios = { train = 0.5 }
on_join = "fial"
grup = "x"
[label]
policy = 3
[select]
sql = "drop table x"
[imag]
"""


def test_all_mistakes_are_told_at_once_with_their_lines(tmp_path, capsys):
    path = written(tmp_path, wrong=WRONG)
    found = {each.key: (each.where.removeprefix(f"{path}:"), each.message) for each in mistakes_in(path)}
    assert {key: place for key, (place, _) in found.items()} == {
        "name": "2:1", "seeed": "3:1", "strata.maxx": "6:1", "strata.max": "7:1", "split.on_join": "10:1",
        "split.grup": "11:1", "label.policy": "13:1", "select.sql": "15:1", "imag": "16:2",
    }  # fmt: skip
    assert "did you mean `seed`?" in found["seeed"][1]
    assert "did you mean `fail`?" in found["split.on_join"][1]
    assert main(["dataset", "check", "--recipe", str(path)]) == 1
    told = capsys.readouterr().out.splitlines()
    assert [line.startswith(f"{path}:") for line in told] == [True] * 9
    assert [int(line.split(":")[1]) for line in told] == [2, 3, 6, 7, 10, 11, 13, 15, 16]
    assert main(["dataset", "check", "--json", "--recipe", str(path)]) == 1
    assert json.loads(capsys.readouterr().out.splitlines()[1])["key"] == "seeed"


def test_a_mistake_is_placed_in_the_file_that_states_it(tmp_path):
    base = 'name = "b"\n[strata]\nby = ["label"]\n'
    path = written(tmp_path, mine='extends = "base.toml"\n[split]\nratios = { train = 0.9, vall = 0.1 }\n', base=base)
    assert [each.where for each in mistakes_in(path)] == [f"{path}:3:1", f"{tmp_path / 'base.toml'}:3:1"]


def test_nothing_stated_is_one_mistake_without_a_line(tmp_path):
    path = written(tmp_path, empty="")
    assert [(each.where, each.key) for each in mistakes_in(path)] == [(str(path), "")]


@pytest.mark.parametrize("seed", range(examples(10, long=500)))
def test_the_same_meaning_written_differently_is_the_same_recipe(seed):
    chance = random.Random(seed)
    record = tomllib.loads(BASE) | {"seed": 0, "as_of": {}, "image": {"pixels": "rgb"}}

    def shuffled(table, path=()):
        keys = list(table)
        # The order of ratios is content: it decides who goes where.
        if path != ("split", "ratios"):
            chance.shuffle(keys)
        return {key: shuffled(table[key], (*path, key)) if isinstance(table[key], dict) else table[key] for key in keys}

    plain = parse_recipe(tomllib.loads(BASE), where="r")
    assert parse_recipe(shuffled(record), where="r").canonical() == plain.canonical()


def test_the_committed_schema_is_what_the_code_says():
    renew = "renew it: petrel dataset schema > schemas/recipe.schema.json"
    assert SCHEMA.read_text(encoding="utf-8") == schema_text(), renew


@pytest.mark.parametrize("path", sorted((REPOSITORY / "conf" / "datasets").glob("*.toml")), ids=lambda p: p.name)
def test_the_recipes_of_the_repository_follow_the_schema(path):
    jsonschema.validate(tomllib.loads(path.read_text(encoding="utf-8")), json.loads(SCHEMA.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    "text", ["seed = 1", 'name = "a"\nsed = 1', 'name = "A"', 'name = "a"\n[image]\npixels = "rgba"']
)
def test_the_schema_refuses_what_a_recipe_may_not_say(text):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(tomllib.loads(text), json.loads(SCHEMA.read_text(encoding="utf-8")))


def test_a_first_recipe_is_written_from_the_lake_and_builds(lake, tmp_path, capsys):
    names = [f"n{number:02}" for number in range(12)]
    add_entities(lake, names, groups={name: {"speaker\n= 1": name[-1]} for name in names})
    add_opinions(lake, [opinion(name, "human:ada", "cat" if name < "n06" else 'd"og') for name in names])
    add_opinions(lake, [opinion("n01", "model:m", "cat", question="rare")])
    path = written(tmp_path, zoo=starting_recipe(lake, "zoo"))
    assert mistakes_in(path) == []
    recipe = load_recipe(path)
    assert (recipe.question, recipe.split.group) == ("animal", "speaker\n= 1")
    assert build(lake, recipe).counts["members"] == 12
    rare = load_recipe(written(tmp_path, rare=starting_recipe(lake, "rare", "rare")))
    assert rare.label.kinds == ("model",)
    assert load_recipe(written(tmp_path, none=starting_recipe(lake, "none", ""))).question == ""
    with pytest.raises(ConfigError, match="did you mean `animal`"):
        starting_recipe(lake, "zoo", "animals")
    assert main(["dataset", "init", "zoo", "--lake", str(lake.root), "--to", str(path)]) == 1
    assert "does not exist" in capsys.readouterr().err
