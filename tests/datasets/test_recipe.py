"""Recipes: text that people write; every mistake is answered with file, key and what was expected."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lakehouse.datasets.placing.split_names import SPLIT
from lakehouse.datasets.plan import split_ranges
from lakehouse.datasets.recipes.recipe import Recipe, load_recipe, parse_recipe, recipe_of
from lakehouse.errors import ConfigError, RecipeError
from loaders.format.manifest import SPLIT_NAME
from schemas.canonical import canonical_json

REPOSITORY = Path(__file__).resolve().parents[2]


def parsed(text: str, tmp_path: Path) -> Recipe:
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return load_recipe(path)


@pytest.mark.parametrize("path", sorted((REPOSITORY / "conf" / "datasets").glob("*.toml")), ids=lambda p: p.name)
def test_the_recipes_of_the_repository_are_valid(path):
    assert load_recipe(path).name == path.stem


def test_a_name_is_enough(tmp_path):
    recipe = parsed('name = "a"', tmp_path)
    assert recipe == Recipe(name="a")
    assert recipe.select.sql == "select entity_id from entities"
    assert recipe.label.asked == ("human", "pool", "import")
    assert dict(recipe.split.ratios) == {"train": 0.8, "val": 0.1, "test": 0.1}


EVERYTHING = """
name = "birds-2_x"
seed = 7
question = "species"
[select]
sql = "select entity_id from entities where size_bytes > $least and origin in $origins and created_at < $until"
params = { least = 3, origins = ["real", "ä"], until = 2024-01-01T00:00:00 }
[label]
policy = "soft"
kinds = ["human"]
actors = ["human:ada"]
quorum = 3
min_share = 1
ties = "lowest"
[strata]
by = ["label", "origin"]
max = 10
min = 1
cells = { "frog|real" = 5 }
[split]
ratios = { test = 0.25, train = 0.75 }
group = "patient"
[as_of]
valid_at = 2024-01-01T12:00:00+02:00
known_at = 2024-01-01T12:00:00
"""


def test_everything_can_be_said(tmp_path):
    recipe = parsed(EVERYTHING, tmp_path)
    assert recipe.as_of.valid_at == datetime(2024, 1, 1, 10, tzinfo=UTC)
    assert recipe.as_of.known_at == datetime(2024, 1, 1, 12, tzinfo=UTC)
    assert recipe.select.params["until"] == datetime(2024, 1, 1, tzinfo=UTC)
    assert recipe.label.min_share == 1.0
    assert list(recipe.split.ratios) == ["test", "train"]
    text = canonical_json(recipe.canonical())
    assert json.loads(text)["select"]["params"] == {
        "least": 3,
        "origins": ["real", "ä"],
        "until": {"time": "2024-01-01T00:00:00.000000Z"},
    }


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ["name"]),
        ('name = ""', ["name = ''", "lower-case"]),
        ('name = "Birds"', ["'Birds'", "lower-case"]),
        ('name = "a/../b"', ["lower-case"]),
        ('name = ".."', ["lower-case"]),
        ('name = "éà"', ["lower-case"]),
        ('name = "-x"', ["lower-case"]),
        (f'name = "{"a" * 101}"', ["up to 100"]),
        ("name = 2024-01-01T00:00:00", ["name", "expected str"]),
        ('name = "a"\nsed = 1', ["unknown key `sed`", "`seed`"]),
        ('name = "a"\nseed = 1.5', ["seed", "expected int", "float"]),
        ('name = "a"\nseed = true', ["seed", "expected int", "bool"]),
        ('name = "a"\nseed = 9223372036854775808', ["seed", "64 bits"]),
        ('name = "a"\nquestion = 3', ["question", "expected str"]),
        ('name = "a"\nlabel = "majority"', ["label", "expected a table"]),
        ('name = "a"\n[label]\nkind = ["human"]', ["label: unknown key `kind`", "`kinds`"]),
        ('name = "a"\n[label]\nkinds = "human"', ["label: kinds", "list of texts"]),
        ('name = "a"\n[label]\nkinds = []', ["label.kinds"]),
        ('name = "a"\n[label]\nkinds = ["humna"]', ["label.kinds", "'humna'", "`human`"]),
        ('name = "a"\n[label]\npolicy = "mjority"', ["label.policy", "`majority`"]),
        ('name = "a"\n[label]\nties = "random"', ["label.ties", "exclude"]),
        ('name = "a"\n[label]\nquorum = 0', ["label.quorum"]),
        ('name = "a"\n[label]\nmin_share = 1.1', ["label.min_share"]),
        ('name = "a"\n[label]\nmin_share = nan', ["label.min_share"]),
        ('name = "a"\n[strata]\nmax = 3', ["strata.by"]),
        ('name = "a"\n[strata]\nby = ["label"]', ["asks no question"]),
        ('name = "a"\n[strata]\nby = ["origin"]\nmax = -1', ["strata.max", "negative"]),
        ('name = "a"\n[strata]\nby = ["origin"]\ncells = { real = -1 }', ["strata", "negative"]),
        ('name = "a"\n[strata]\nby = ["origin"]\ncells = { real = "3" }', ["strata: cells.real", "expected int"]),
        ('name = "a"\n[strata]\nby = ["origin"]\ncells = [3]', ["strata: cells", "expected a table"]),
        ('name = "a"\n[strata]\nby = ["origin) from x --"]', ["strata.by", "column"]),
        ('name = "a"\n[strata]\nby = ["origin", "origin"]', ["strata.by", "twice"]),
        ('name = "a"\n[strata]\nby = ["origin"]\nmin = 3\nmax = 2', ["strata.min = 3", "strata.max = 2"]),
        ('name = "a"\n[split]\nratios = {}', ["split.ratios"]),
        ('name = "a"\n[split]\nratios = [0.5, 0.5]', ["split: ratios", "expected a table"]),
        ('name = "a"\n[split]\nratios = { train = 0.8, test = 0.1 }', ["split.ratios add up to 0.9"]),
        ('name = "a"\n[split]\nratios = { train = 1.5, test = -0.5 }', ["split.ratios", "within 0..1"]),
        ('name = "a"\n[split]\nratios = { train = "1" }', ["ratios.train", "expected float"]),
        ('name = "a"\n[split]\nratios = { "it\'s" = 1 }', ["split.ratios", '"it\'s"']),
        ('name = "a"\n[split]\nratios = { "../x" = 1 }', ["split.ratios", "'../x'"]),
        ('name = "a"\n[split]\nratios = { "" = 1 }', ["split.ratios"]),
        (f'name = "a"\n[split]\nratios = {{ {"a" * 65} = 1 }}', ["split.ratios", "at most 64"]),
        ('name = "a"\n[as_of]\nvalid_at = "2024-01-01"', ["as_of: valid_at", "time", "'2024-01-01'"]),
        ('name = "a"\n[as_of]\nknown_at = 2024-01-01', ["as_of: known_at", "time"]),
        ('name = "a"\n[as_of]\nknown_at = { a = 1 }', ["as_of: known_at", "time"]),
        ('name = "a"\n[select]\nparams = { day = 2024-01-01 }', ["select: params.day", "2024"]),
        ('name = "a"\n[select]\nparams = { at = 12:00:00 }', ["select: params.at"]),
        ('name = "a"\n[select]\nparams = { x = { y = 1 } }', ["select: params.x"]),
        ('name = "a"\n[select]\nparams = { x = [[1]] }', ["select: params.x"]),
        ('name = "a"\n[select]\nparams = { x = nan }', ["select: params.x"]),
        ('name = "a"\n[select]\nparams = 3', ["select: params", "expected a table"]),
    ],
)
def test_a_mistake_names_file_key_and_what_was_expected(tmp_path, text, parts):
    with pytest.raises(RecipeError) as caught:
        parsed(text, tmp_path)
    assert "mine.toml" in str(caught.value)
    assert [part for part in parts if part not in str(caught.value)] == []


@pytest.mark.parametrize("more", [{"split": {"group": "a\0b"}}, {"select": {"where": {"origin": ["a\0"]}}},
                                  {"label": {"map": {"a\0": "b"}}}])  # fmt: skip
def test_a_text_with_a_nul_character_is_refused_before_it_is_a_query(more):
    with pytest.raises(RecipeError, match="NUL"):
        parse_recipe({"name": "n", "question": "q", **more}, where="r")


def test_a_missing_file_is_an_error_that_names_it(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.toml"):
        load_recipe(tmp_path / "nowhere.toml")


def test_the_canonical_form_leaves_out_what_equals_its_default():
    assert parse_recipe({"name": "a", "seed": 0}, where="x").canonical() == {"name": "a"}
    spelled_out = {
        "question": "",
        "select": {"sql": "select entity_id from entities", "params": {}},
        "label": {"min_share": 0, "quorum": 1},
        "strata": {"by": [], "cells": {}},
        "split": {"ratios": {"train": 0.8, "val": 0.1, "test": 0.1}, "group": ""},
    }
    assert parse_recipe({"name": "a", **spelled_out}, where="x").canonical() == {"name": "a"}
    assert parse_recipe({"name": "a", "label": {"quorum": 2, "ties": "exclude"}}, where="x").canonical() == {
        "name": "a",
        "label": {"quorum": 2},
    }


def test_another_order_of_the_default_ratios_is_no_default():
    ratios = {"test": 0.1, "train": 0.8, "val": 0.1}
    canonical = parse_recipe({"name": "a", "split": {"ratios": ratios}}, where="x").canonical()
    assert canonical == {"name": "a", "split": {"ratios": [["test", 0.1], ["train", 0.8], ["val", 0.1]]}}


def test_a_recipe_is_read_back_whole_from_its_canonical_text(tmp_path):
    recipe = parsed(EVERYTHING, tmp_path)
    assert recipe_of(json.loads(canonical_json(recipe.canonical())), where="x") == recipe
    assert recipe_of({"name": "a"}, where="x") == Recipe(name="a")


def test_parameters_of_another_type_are_another_recipe():
    said: list[object] = [3, 3.0, "3", datetime(2024, 1, 1, tzinfo=UTC), "2024-01-01T00:00:00.000000Z", [3], [3.0]]
    recipes = [parse_recipe({"name": "a", "select": {"params": {"x": value}}}, where="x") for value in said]
    texts = [canonical_json(recipe.canonical()) for recipe in recipes]
    assert len(set(texts)) == len(said)
    assert [recipe_of(json.loads(text), where="x").select.params["x"] for text in texts] == said


def test_a_recipe_of_a_newer_version_is_refused_by_the_key_that_is_not_known():
    with pytest.raises(RecipeError, match="dataset d: strata: unknown key `oversample`"):
        recipe_of({"name": "a", "strata": {"oversample": 3}}, where="dataset d")


def test_the_order_of_the_ratios_is_content():
    one, other = (
        parse_recipe({"name": "a", "split": {"ratios": ratios}}, where="x").canonical()
        for ratios in ({"a": 0.5, "b": 0.5}, {"b": 0.5, "a": 0.5})
    )
    assert canonical_json(one) != canonical_json(other)


def test_split_ranges_golden_values():
    assert split_ranges({"train": 0.8, "val": 0.1, "test": 0.1}) == [
        ("train", 3602879701896397),
        ("val", 4053239664633446),
        ("test", 4503599627370496),
    ]
    assert split_ranges({"all": 1.0}) == [("all", 2**52)]
    assert split_ranges({"none": 0.0, "all": 1.0}) == [("none", 0), ("all", 2**52)]


@example([474, 908, 1, 220, 0])
@given(st.lists(st.integers(0, 1000), min_size=1, max_size=6).filter(sum))
def test_split_ranges_cover_every_bucket_once(weights):
    ratios = {f"s{number}": weight / sum(weights) for number, weight in enumerate(weights)}
    ends = [end for _, end in split_ranges(ratios)]
    assert ends == sorted(ends)
    assert ends[-1] == 2**52
    for share, low, high in zip(ratios.values(), [0, *ends], ends, strict=False):
        assert (high - low) / 2**52 == pytest.approx(share, abs=1e-12)


# --------------------------------------------------------------------------------- names of splits


@pytest.mark.parametrize(
    ("name", "meant"),
    [("trian", "train"), ("tran", "train"), ("trains", "train"), ("tst", "test"), ("tets", "test"), ("vla", "val"),
     ("vaild", "valid"), ("validaton", "validation"), ("hold-out", "holdout"), ("dve", "dev"), ("text", "test")],
)  # fmt: skip
def test_a_split_one_slip_from_a_usual_name_is_an_error_that_says_which(name, meant):
    for split in ({"ratios": {name: 0.7, "other": 0.3}}, {"official": "folder:0", "names": {"x": name}}):
        with pytest.raises(RecipeError, match=rf"{name!r}; did you mean `{meant}`\?"):
            parse_recipe({"name": "a", "split": split}, where="x")


@pytest.mark.parametrize(
    "names", [("train", "val", "test"), ("train", "eval"), ("test2", "train1"), ("all",), ("a", "b"), ("rest", "test"),
              ("training", "testing"), ("test", "tests"), ("trainval", "dev"), ("fold0", "fold1")],
)  # fmt: skip
def test_other_names_of_splits_are_taken(names):
    ratios = dict.fromkeys(names, 1 / len(names))
    assert tuple(parse_recipe({"name": "a", "split": {"ratios": ratios}}, where="x").split.ratios) == names


def test_what_a_lake_has_recorded_is_read_back_whatever_its_splits_are_called():
    ratios = [["trian", 0.7], ["test", 0.3]]
    assert list(recipe_of({"name": "a", "split": {"ratios": ratios}}, where="x").split.ratios) == ["trian", "test"]


def test_a_split_that_could_not_be_published_is_refused_in_the_recipe():
    assert SPLIT.pattern == SPLIT_NAME.pattern
    for split in ({"ratios": {"JPEG": 1}}, {"official": "folder:0", "names": {"x": "JPEG"}}):
        with pytest.raises(RecipeError, match="'JPEG'; use lower-case letters"):
            parse_recipe({"name": "a", "split": split}, where="x")
