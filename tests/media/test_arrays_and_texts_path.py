"""Arrays and texts go the whole way: landed, measured, built, materialised and read; a second run changes nothing."""

from __future__ import annotations

import pytest

import lakehouse as lh
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.errors import ConfigError
from lakehouse.query import fetch
from loaders import make_reader
from tests.ingestion.files import landed, put, source
from tests.loaders.test_arrays_and_texts import npy, npz


def built(lake, name: str, kind: str) -> list[object]:
    """Values of the one field of a dataset of all entities whose media type begins so."""
    select = {"sql": f"select entity_id from entities where starts_with(media_type, '{kind}')"}
    record = {"name": name, "select": select, "split": {"ratios": {"all": 1.0}}}
    lh.build(lake, parse_recipe(record, where=f"{name}.toml"))
    folder = lake.root / lh.materialise(lake, name).details["folder"]
    with make_reader(folder / "all", batch_size=1) as reader:
        return [batch[name][0] for batch in reader]


def test_arrays_and_texts_go_the_whole_way(lake, tmp_path):
    import numpy as np

    drop = tmp_path / "drop"
    put(drop, "a.npy", npy(np.arange(6, dtype="f4").reshape(2, 3)))
    put(drop, "b.npz", npz(x=np.full(3, 7, "u1")))
    put(drop, "pickle.npy", npy(np.array([{}], dtype=object)))
    put(drop, "raw.npy", bytes(range(64)))
    put(drop, "one.txt", "Füße".encode("utf-16"))
    put(drop, "two.txt", b"plain words")
    put(drop, "latin.txt", "Füße".encode("latin-1"))
    put(drop, "page.html", b"<html><body>hi</body></html>")
    put(drop, "labels.csv", b"file,label")
    lh.land(lake, source(drop, include=("*.np?", "*.txt", "*.html")))
    assert "labels.csv" not in {row["path"] for row in landed(lake)}
    assert lh.entities(lake).counts == {"seen": 8, "stored": 5, "duplicate": 0, "rejected": 3}
    assert fetch(lake, "select rule, judged_by from silver.rejected order by rule") == [
        {"rule": "pickle", "judged_by": "array probe 1"}, {"rule": "undecodable", "judged_by": "text probe 1"},
        {"rule": "unknown_type", "judged_by": "array probe 1"},
    ]  # fmt: skip
    types = fetch(lake, "select media_type, count(*) as n from entities group by media_type order by media_type")
    assert {row["media_type"]: row["n"] for row in types} == {
        "application/x-npy": 1, "application/x-npz": 1, "text/html": 1, "text/plain": 2,
    }  # fmt: skip
    assert lh.dimensions(lake).counts["rejected"] == 0
    arrays, texts = built(lake, "array", "application/x-np"), built(lake, "text", "text/plain")
    assert sorted((each.dtype.name, each.shape) for each in arrays) == [("float32", (2, 3)), ("uint8", (3,))]
    assert sorted(texts) == ["Füße", "plain words"]
    assert not lh.entities(lake).changed
    assert not lh.dimensions(lake).changed


def test_texts_are_landed_where_include_names_their_ending(lake, tmp_path):
    drop = tmp_path / "drop"
    put(drop, "texts/a.txt", b"one")
    put(drop, "README.txt", b"about")
    receipt = lh.land(lake, source(drop))
    assert [note.rule for note in receipt.notes] == ["nothing_to_land"]
    assert "name the ending in include" in receipt.notes[0].example
    with pytest.raises(ConfigError, match=r"none of the 2 files"):
        lh.land(lake, source(drop, include=("texts/*",)))
    lh.land(lake, source(drop, include=("texts/*.txt",)))
    assert [row["path"] for row in landed(lake)] == ["texts/a.txt"]
    with pytest.raises(ConfigError, match=r"none of the 2 files"):  # what was left out on purpose stays out
        lh.land(lake, source(drop, include=("*.txt",), exclude=("*.txt",)))
