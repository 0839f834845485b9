"""The catalogue: every dataset with owner, size, versions and consumers, as text, JSON and a page of its own."""

from __future__ import annotations

import json

import pytest

from jobs.cli import main as petrel
from lakehouse.cards.catalog import catalog, catalog_page
from lakehouse.config import load_config
from lakehouse.datasets.build import build
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.datasets.versions.tags import tag_dataset
from lakehouse.evaluation.evaluate import evaluate
from lakehouse.opening import open_lake
from tests.making import Clock, add_entities, add_opinions, opinion, small_lake

MODEL = "model:<b>cnn</b>@1"


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    """`zoo` in two versions, the second by nobody in particular; `plain` by Ada."""
    clock, root = Clock(), tmp_path_factory.mktemp("catalog") / "lake"
    names = [f"n{number}" for number in range(12)]

    def made(lake, name, **more):
        return build(lake, parse_recipe({"name": name} | more, where="x.toml")).details["dataset_id"]

    with small_lake(root, 'lake.author="<Ada>"', clock=clock) as lake:
        add_entities(lake, names)
        add_opinions(lake, [opinion(name, "human:ada", "cat" if name < "n5" else "dog") for name in names])
        add_opinions(lake, [opinion(name, MODEL, "cat") for name in names])
        first = made(lake, "zoo", question="animal", split={"ratios": {"test": 1.0}})
        evaluate(lake, dataset_id=first, actor=MODEL, question="animal")
        tag_dataset(lake, first, "paper")
        made(lake, "plain")
    clock.forward(days=3)
    with small_lake(root, clock=clock) as lake:
        second = made(lake, "zoo", question="animal", split={"ratios": {"test": 1.0}}, seed=1)
        clock.forward(days=1)
        yield lake, first, second


def test_every_dataset_is_told_with_owner_age_size_versions_and_consumers(zoo):
    lake, first, second = zoo
    plain, made = catalog(lake)
    assert (plain["name"], plain["owner"], plain["versions"], plain["age_days"]) == ("plain", "<Ada>", 1, 4)
    assert (plain["members"], plain["bytes"], plain["models"]) == (12, 10 * 2 + 2 * 3, [])
    assert (made["owner"], made["dataset_id"], made["versions"], made["age_days"]) == ("unknown", second, 2, 1)
    assert made["tags"] == {"paper": first}
    assert [(each["actor_id"], each["evaluations"]) for each in made["models"]] == [(MODEL, 1)]


def test_the_page_needs_nothing_and_texts_of_data_are_texts(zoo):
    text = catalog_page(catalog(zoo[0]), where="lake")
    assert "&lt;Ada&gt;" in text
    assert "model:&lt;b&gt;cnn" in text
    assert "<b>" not in text
    assert "<script" not in text
    assert "http:" not in text.replace("http://www.w3.org/2000/svg", "")


def test_the_command_says_it_as_table_json_and_page(zoo, tmp_path, capsys):
    where = ["--lake", str(zoo[0].root)]
    assert petrel(["catalog", *where, "--html", str(tmp_path / "c.html")]) == 0
    assert "plain" in capsys.readouterr().out
    assert "<!doctype html>" in (tmp_path / "c.html").read_text()
    assert petrel(["catalog", *where, "--json"]) == 0
    assert [json.loads(text)["name"] for text in capsys.readouterr().out.splitlines()] == ["plain", "zoo"]


def test_a_lake_without_datasets_says_so(tmp_path, capsys):
    with open_lake(load_config(overrides=[f'lake.root="{tmp_path}/lake"'], environ={}), create=True) as lake:
        assert catalog(lake) == []
    assert petrel(["catalog", "--lake", f"{tmp_path}/lake"]) == 0
    assert "no dataset yet" in capsys.readouterr().out
