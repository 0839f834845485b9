"""A lake of seven pictures with labels, and a dataset of them; made once, tests work on copies."""

from __future__ import annotations

import shutil

import pytest

import lakehouse as lh
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.exporting.step import FORMATS
from lakehouse.query import fetch
from tests.ingestion.files import png, put, source
from tests.making import add_opinions, opinion, small_lake

OF_LABELS = sorted(name for name, each in FORMATS.items() if not each.of_pictures)
"""Formats that any selection with labels can be written in; coco and yolo need objects in pictures."""

LABELS = {1: "cat", 2: "cat", 3: "cat", 4: "dog", 5: "dog", 6: "dog"}
"""Number of a picture -> its label; 0 has none."""

SQL = """
select e.entity_id, l.label, e.width, s.name
from entities_wide e join silver.entity_sources s on s.entity_id = e.entity_id
left join current_opinions l on l.subject_id = e.entity_id
"""


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """The lake with its pictures, labels and dataset `animals`."""
    folder = tmp_path_factory.mktemp("exporting")
    with small_lake(folder / "lake") as lake:
        for number in range(7):
            put(folder / "drop", f"{number}.png", png(number))
        lh.land(lake, source(folder / "drop"))
        lh.entities(lake)
        lh.dimensions(lake)
        add_opinions(lake, [{**opinion("", "human:ann", label), **_about(lake, f"{number}.png")}
                            for number, label in LABELS.items()])  # fmt: skip
        recipe = {
            "name": "animals",
            "question": "animal",
            "select": {"sql": "select entity_id, width from entities_wide"},
        }
        lh.build(lake, parse_recipe({**recipe, "split": {"ratios": {"train": 0.5, "test": 0.5}}}, where="test"))
    return folder / "lake"


def _about(lake, name):
    thing = fetch(lake, "select entity_id from silver.entity_sources where name = $name", params={"name": name})
    return {"subject_id": thing[0]["entity_id"], "opinion_id": name}


@pytest.fixture
def pictures(made, tmp_path):
    """A copy of it."""
    shutil.copytree(made, tmp_path / "lake")
    with small_lake(tmp_path / "lake") as lake:
        yield lake


@pytest.fixture
def ids(pictures):
    """Number of a picture -> its entity."""
    rows = fetch(pictures, "select entity_id, name from silver.entity_sources")
    return {int(row["name"].removesuffix(".png")): row["entity_id"] for row in rows}
