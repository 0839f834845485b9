"""A small lake with rows in every table that a build reads, made once; tests damage copies of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lakehouse.datasets.build import build
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.lake import Lake
from lakehouse.steps.receipts import Receipt
from lakehouse.tables.insert import insert_rows
from schemas.tables import BATCHES, ENTITY_SOURCES
from tests.making import add_dimension, add_entities, add_opinions, entity_id, opinion, small_lake

NAMES = [f"n{number}" for number in range(12)]

RECIPE = parse_recipe(
    {
        "name": "zoo",
        "question": "animal",
        "select": {"sql": "select entity_id from entities_wide where brightness >= 0"},
        "split": {"ratios": {"train": 0.5, "test": 0.5}, "group": "site"},
    },
    where="zoo.toml",
)


def fill(lake: Lake) -> None:
    """Entities with groups, a dimension, two commits of opinions, and the batch they came in."""
    add_entities(lake, NAMES)
    sources = [
        {
            "landed_id": f"l-{name}",
            "entity_id": entity_id(name),
            "source": "s",
            "drop_name": "d",
            "uri": f"file:///{name}",
            "path": name,
            "name": name,
            "group_keys": {"site": f"site{place // 2}"},
        }
        for place, name in enumerate(NAMES)
    ]
    insert_rows(lake, ENTITY_SOURCES, sources, step="test")
    add_dimension(lake, "brightness", {name: float(place % 2) for place, name in enumerate(NAMES)})
    first = [opinion(name, "human:ada", "cat" if place % 3 else "dog") for place, name in enumerate(NAMES)]
    add_opinions(lake, first)
    add_opinions(lake, [opinion(name, "human:bob", "cat" if place % 4 else "dog") for place, name in enumerate(NAMES)])
    rows = len(NAMES) * 2
    batch = {
        "batch_id": "test",
        "source": "s",
        "system": "",
        "content_id": "c",
        "content_sha256": "d",
        "format": "csv",
        "options_json": "{}",
        "importer_version": 1,
        "rows_read": rows,
        "rows_new": rows,
        "rows_same": 0,
        "rows_rejected": 0,
        "rows_unmatched": 0,
        "ordinal": 1,
    }
    insert_rows(lake, BATCHES, [batch], step="test")


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lake before any dataset was built."""
    root = tmp_path_factory.mktemp("filled") / "lake"
    with small_lake(root) as lake:
        fill(lake)
    return root


@pytest.fixture(scope="session")
def built(filled: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Receipt]:
    """The lake after the build, and the build's receipt."""
    root = Path(shutil.copytree(filled, tmp_path_factory.mktemp("built") / "lake"))
    with small_lake(root) as lake:
        return root, build(lake, RECIPE)


@pytest.fixture
def copy_of(tmp_path: Path) -> Callable[[Path], Path]:
    """Return a function that copies a lake to a place of its own."""
    return lambda root: Path(shutil.copytree(root, tmp_path / "copy"))
