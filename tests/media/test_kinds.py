"""A kind of media is one file and one line: landed, probed, measured, built, materialised and read like pictures."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import EntryPoint

import pytest

import lakehouse as lh
from lakehouse import plugins
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.errors import ConfigError
from lakehouse.media.kinds import registry
from lakehouse.media.kinds.audio import AUDIO
from lakehouse.media.kinds.image import IMAGE
from lakehouse.media.kinds.registry import check_distinct, media_kinds
from lakehouse.query import fetch
from loaders import make_reader
from tests.ingestion.files import png, put, source
from tests.media.toy_kind import LETTERS, TOY

WAV = (b"RIFF\x28\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x80\x3e\0\0\2\0\x10\0"
       b"data\4\0\0\0\1\0\2\0")  # fmt: skip


@pytest.fixture
def toy(monkeypatch):
    """The line of the package's metadata that names the toy."""
    points = [EntryPoint("toy", "tests.media.toy_kind:TOY", registry.ENTRY_POINTS)]
    monkeypatch.setattr(plugins, "entry_points", lambda group: points if group == registry.ENTRY_POINTS else [])
    media_kinds.cache_clear()
    yield
    monkeypatch.undo()
    media_kinds.cache_clear()


def test_an_installed_package_adds_a_kind_that_goes_the_whole_way(lake, tmp_path, toy):
    drop = tmp_path / "drop"
    put(drop, "a.toy", b"TOY1abc.")
    put(drop, "b", b"TOY1defg.")
    put(drop, "cut.toy", b"TOY1de")
    put(drop, "notes.note", b"\0 of no kind")
    lh.land(lake, source(drop))
    assert lh.entities(lake).counts == {"seen": 4, "stored": 3, "duplicate": 0, "rejected": 1}
    assert fetch(lake, "select rule, judged_by from silver.rejected") == [
        {"rule": "truncated", "judged_by": "toy probe 1"}
    ]
    assert lh.entities(lake).counts["seen"] == 0
    assert lh.dimensions(lake, extractors=[LETTERS]).counts["measured"] == 2
    record = {"name": "toys", "select": {"sql": "select entity_id from entities"}, "split": {"ratios": {"all": 1.0}}}
    built = lh.build(lake, parse_recipe(record, where="toys.toml"))
    assert (built.counts["members"], built.details["excluded_because"]) == (2, "1 another_kind")
    folder = lake.root / lh.materialise(lake, "toys").details["folder"]
    with make_reader(folder / "all", batch_size=2) as reader:
        (batch,) = reader
    assert sorted(bytes(each) for each in batch["toy"]) == [b"TOY1abc.", b"TOY1defg."]


def test_a_dataset_holds_one_kind_and_pictures_come_first(lake, tmp_path):
    drop = tmp_path / "drop"
    put(drop, "a.png", png(1))
    put(drop, "b.wav", WAV)
    put(drop, "notes.note", b"\0 of no kind")
    lh.land(lake, source(drop))
    assert lh.entities(lake).counts["stored"] == 3

    def built(sql: str) -> tuple[int, str, str]:
        record = {"name": "mixed", "select": {"sql": sql}, "split": {"ratios": {"all": 1.0}}}
        receipt = lh.build(lake, parse_recipe(record, where="mixed.toml"))
        folder = lake.root / lh.materialise(lake, receipt.details["dataset_id"]).details["folder"]
        with make_reader(folder / "all", batch_size=1) as reader:
            (batch,) = reader
        (field,) = {"image", "audio", "content"} & set(batch)
        return receipt.counts["members"], receipt.details.get("excluded_because", ""), field

    assert built("select entity_id from entities") == (1, "2 not_a_picture", "image")
    assert built("select entity_id from entities where media_type not like 'image/%'") == (1, "1 another_kind", "audio")
    assert built("select entity_id from entities where media_type like 'application/%'") == (1, "", "content")


def test_two_kinds_that_clash_are_both_named():
    assert media_kinds()[:2] == (IMAGE, AUDIO)
    for change in ({"name": "audio"}, {"prefix": "audio/"}, {"sample": AUDIO.sample}):
        with pytest.raises(ConfigError, match=r"media kinds `audio` and `(toy|audio)` have one"):
            check_distinct((IMAGE, AUDIO, replace(TOY, **change)))


@pytest.mark.parametrize("change", [{"name": "No"}, {"prefix": "toy"}, {"prefix": "application/"}, {"version": 0}])
def test_a_kind_that_cannot_be_is_refused(change):
    with pytest.raises(ConfigError, match="media kind"):
        replace(TOY, **change)
