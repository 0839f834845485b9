"""Version ids that must not change: a dataset's id is in papers, in cards of models and in folder names.

If one of these changes, every dataset of that kind in every lake is renamed. Read `BUILD_CONTRACT` first.
"""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lakehouse.datasets.build import build
from lakehouse.datasets.recipes.recipe import Recipe, Strata, load_recipe, parse_recipe
from lakehouse.datasets.versions.reads import tables_read
from lakehouse.datasets.versions.version import Inputs, contracts
from lakehouse.extractors import registry
from lakehouse.extractors.extractor import Dimension, Extractor
from lakehouse.views import registry as views
from tests.making import add_dimension, add_entities, add_opinions, opinion

CONF = Path(__file__).resolve().parents[2] / "conf" / "datasets"
TIME = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)

SAID: dict[str, dict[str, object]] = {
    "a name alone": {},
    "a seed": {"seed": 7},
    "a question": {"question": "animal"},
    "a selection": {"select": {
        "sql": "select entity_id from entities_wide where width = $w and brightness > $b and created_at < $t",
        "params": {"w": 8, "b": 3.0, "t": TIME, "more": ["ä", 1]},
    }},
    "everything selected": {"select": {"sql": "select * from entities_wide"}},
    "a policy": {"question": "animal", "label": {
        "policy": "soft", "kinds": ["human"], "actors": ["human:ada"], "quorum": 3, "min_share": 0.5, "ties": "lowest",
    }},
    "strata": {"question": "animal", "strata": {
        "by": ["label", "mode"], "max": 9, "min": 1, "cells": {"cat|RGB": 3},
    }},
    "ratios": {"split": {"ratios": {"test": 0.25, "train": 0.75}}},
    "a leak group": {"split": {"group": "patient"}},
    "joins that are kept": {"split": {"group": "patient", "on_join": "keep"}},
    "an official split": {"split": {"official": "folder:0", "names": {"valid": "val"}, "on_conflict": "exclude"}},
    "points in time": {"question": "animal", "as_of": {"valid_at": TIME, "known_at": TIME}},
}  # fmt: skip

GOLDEN = {
    "bccd": "d1b8f7476186ac1bbf9c5ea33f8a5181",
    "bccd_apart": "4d396622ab8b5de225231c7ad0a561e4",
    "bccd_boxes": "60bd2735362467a88dd0855bb81f5c36",
    "bccd_cells": "ac9573020524fb42964c4707c1606ba6",
    "cifar10": "c9b44ec9e65149f941dda1a98b4be041",
    "digits": "7501f887a32d1c1266199f4b63839588",
    "fsdd": "6f78dc502c65582c9ccca9ae6f86c2e9",
    "species": "76a23e4117f11f748d06de95a0da0d68",
    "a name alone": "2b4bad822f7b98c57d508a6128edbb14",
    "a seed": "aef64cb6391807d9366dcbcfbe0facc1",
    "a question": "394dbf5f3ededef2680f9b3b67b79917",
    "a selection": "b8953c8ebadddf4a1ccf082b7d8016ae",
    "everything selected": "58224827772edb4977d06fc4ceca36c4",
    "a policy": "f45de99d23788be9421d84808bccee6e",
    "strata": "83a8b423b05d16c129d3d95ccc300d1c",
    "ratios": "248f5e500efb57225ac212bc3439c268",
    "a leak group": "3f95bcc7a36506d8390b8f0aee279a7c",
    "joins that are kept": "7d46a7c9f9521428f564cde3cf851074",
    "an official split": "5368dfb7a231aa86aecc4637ca11d95a",
    "points in time": "d77aa179f559718562765050eba533a8",
}


GOLDEN_END_TO_END = (
    "ae1add90046a894f832ca1ab9b9d881e",
    "2-7cc1c95ad57679b8-125cee3acb481850",
)
"""Version id and digest of the members of `WHOLE` over `small_zoo`."""


def recipes() -> dict[str, Recipe]:
    found = {path.stem: load_recipe(path) for path in sorted(CONF.glob("*.toml"))}
    return found | {name: parse_recipe({"name": "zoo"} | said, where=name) for name, said in SAID.items()}


def fixed_id(recipe: Recipe) -> str:
    """The version id over made-up contents of the tables that the recipe reads."""
    digests = {name: f"1-{0:016x}-{place:016x}" for place, name in enumerate(sorted(tables_read(recipe)))}
    measured = ["image_header", "image_pixels"]
    return Inputs({}, digests, contracts(recipe, measured=measured)).version_id(recipe)


def test_version_ids_of_recipes_are_what_they_were():
    assert {name: fixed_id(recipe) for name, recipe in recipes().items()} == GOLDEN


def test_different_recipes_have_different_ids():
    assert len(set(GOLDEN.values())) == len(GOLDEN)


def test_a_new_optional_key_of_a_recipe_changes_no_id():
    @dataclasses.dataclass(frozen=True, slots=True)
    class NewStrata(Strata):
        oversample: int = 0

    for name, recipe in recipes().items():
        old = {field.name: getattr(recipe.strata, field.name) for field in dataclasses.fields(recipe.strata)}
        assert fixed_id(dataclasses.replace(recipe, strata=NewStrata(**old))) == GOLDEN[name]
        assert fixed_id(dataclasses.replace(recipe, strata=NewStrata(**old, oversample=2))) != GOLDEN[name]


@pytest.fixture
def small_zoo(lake):
    """Four entities, measured, two of them answered about."""
    names = ["n0", "n1", "n2", "n3"]
    add_entities(lake, names, groups={"n0": {"patient": "p"}, "n1": {"patient": "p"}, "n2": {"patient": "q"}})
    add_dimension(lake, "width", dict.fromkeys(names, 8), kind="integer", extractor="image_header")
    add_opinions(lake, [opinion("n0", "human:ada", "cat"), opinion("n2", "human:ada", "dog")])
    return lake


WHOLE = parse_recipe(
    {
        "name": "zoo",
        "question": "animal",
        "split": {"group": "patient"},
        "strata": {"by": ["label", "width"]},
        "select": {"sql": "select entity_id from entities_wide where width = $w", "params": {"w": 8}},
    },
    where="zoo.toml",
)


def test_a_small_lake_gives_the_version_and_the_members_that_it_gave(small_zoo):
    details = build(small_zoo, WHOLE).details
    assert (details["dataset_id"], details["members_digest"]) == GOLDEN_END_TO_END


@pytest.mark.parametrize("sql", [
    "select entity_id from entities", WHOLE.select.sql, "select entity_id from (select * from entities_wide)",
])  # fmt: skip
def test_installing_an_extractor_that_measured_nothing_renames_no_dataset(small_zoo, sql, monkeypatch):
    recipe = dataclasses.replace(WHOLE, select=dataclasses.replace(WHOLE.select, sql=sql))
    before = build(small_zoo, recipe).details
    install(monkeypatch)
    after = build(small_zoo, recipe)
    views.view_texts.cache_clear()
    assert (after.details, after.rows_new) == (before, 0)


def test_what_an_unread_extractor_measured_renames_no_dataset_that_names_its_columns(small_zoo, monkeypatch):
    before = build(small_zoo, WHOLE).details
    add_dimension(small_zoo, "brightness", {"n0": 3.5})
    assert build(small_zoo, WHOLE).details == before
    add_dimension(small_zoo, "width", {"n3": 9}, kind="integer", extractor="image_header", version=2)
    assert build(small_zoo, WHOLE).details["dataset_id"] != before["dataset_id"]


def install(monkeypatch) -> None:
    """What installing a package with an entry point does."""
    found = Extractor("blur_meter", 1, (Dimension("blur", "number", "Blur."),), ("audio/",), print)
    known = registry._registered()
    monkeypatch.setattr(registry, "_registered", lambda: (*known, found))
    views.view_texts.cache_clear()
    views.wide_kinds.cache_clear()


if __name__ == "__main__":
    for name, recipe in recipes().items():
        print(f'    "{name}": "{fixed_id(recipe)}",')  # noqa: T201
