"""From files to batches: what was published is read, with the pixels that the files have, and nothing is cut to fit."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from lakehouse.datasets.build import build
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.errors import RecipeError
from lakehouse.ingestion.entities import entities
from lakehouse.ingestion.land import land
from lakehouse.materialise.step import materialise
from lakehouse.query import fetch
from loaders import ReadOptions, make_reader, read_manifest
from tests.ingestion.files import source
from tests.making import add_entities, small_lake
from tests.media.odd_pictures import odd_pictures


@pytest.fixture(scope="module")
def gallery(tmp_path_factory):
    """A lake with every odd picture, and for each that can be read its pixels, by id."""
    place, corpus = tmp_path_factory.mktemp("gallery"), odd_pictures()
    (place / "drop").mkdir()
    for each in corpus:
        (place / "drop" / each.name).write_bytes(each.data)
    pixels = {hashlib.sha256(each.data).hexdigest(): each.pixels for each in corpus if each.pixels is not None}
    with small_lake(place / "lake") as lake:
        land(lake, source(place / "drop"))
        counts = entities(lake).counts
        assert (counts["stored"], counts["rejected"]) == (len(pixels), len(corpus) - len(pixels))
        yield lake, pixels


def dataset(lake, name: str, **record) -> str:
    recipe = {"name": name, "split": {"ratios": {"all": 1.0}}} | record
    return build(lake, parse_recipe(recipe, where=f"{name}.toml")).details["dataset_id"]


def excluded(lake, dataset_id: str) -> dict[str, int]:
    text = "select reason, count(*) as n from gold.dataset_exclusions where dataset_id = $id group by reason"
    return {row["reason"]: row["n"] for row in fetch(lake, text, params={"id": dataset_id})}


def everything(lake, dataset_id: str) -> dict[str, np.ndarray]:
    """Id -> pixels of all that the reader delivers."""
    folder = lake.root / materialise(lake, dataset_id).details["folder"] / "all"
    options = ReadOptions(tail="ragged", workers=1)
    with make_reader(folder, batch_size=64, columns=["entity_id", "image"], options=options) as reader:
        found = {key: image for batch in reader for key, image in zip(batch["entity_id"], batch["image"], strict=True)}
        assert not reader.skipped
    assert len(found) == read_manifest(folder).rows
    return found


def test_published_and_unreadable_is_none_and_pixels_are_those_of_the_files(gallery):
    lake, pixels = gallery
    shallow = {key: found for key, found in pixels.items() if found.dtype == np.uint8}
    dataset_id = dataset(lake, "rgb")
    assert excluded(lake, dataset_id) == {"deep_pixels": len(pixels) - len(shallow)}
    found = everything(lake, dataset_id)
    assert found.keys() == shallow.keys()
    for key, wanted in shallow.items():
        np.testing.assert_array_equal(found[key], wanted)


def test_a_recipe_that_asks_for_pixels_as_they_are_gets_every_depth(gallery):
    lake, pixels = gallery
    dataset_id = dataset(lake, "native", image={"pixels": "native"})
    assert excluded(lake, dataset_id) == {}
    found = everything(lake, dataset_id)
    assert found.keys() == pixels.keys()
    assert {each.dtype.name for each in found.values()} == {
        "uint8",
        "uint16",
        "uint32",
        "int8",
        "int16",
        "int32",
        "float32",
    }
    for key, wanted in pixels.items():
        assert found[key].dtype == wanted.dtype
        np.testing.assert_array_equal(found[key], wanted)


def test_how_pixels_are_read_is_part_of_the_version_and_its_default_is_not(gallery):
    lake, _ = gallery
    assert dataset(lake, "same") == dataset(lake, "same", image={"pixels": "rgb"})
    assert dataset(lake, "same") != dataset(lake, "same", image={"pixels": "native"})
    with pytest.raises(RecipeError, match=r"image\.pixels = 'nativ'.*native"):
        dataset(lake, "same", image={"pixels": "nativ"})


def test_what_is_no_picture_is_left_out_of_a_dataset_of_pictures_and_told(gallery):
    lake, _ = gallery
    add_entities(lake, ["some text", "more text"])
    mixed = dataset(lake, "mixed")
    assert excluded(lake, mixed)["not_a_picture"] == 2
    texts = dataset(lake, "texts", select={"sql": "select entity_id from entities where media_type = 'text/plain'"})
    assert excluded(lake, texts) == {}
