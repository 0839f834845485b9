"""Landing the same bytes heals a damaged object, and nobody measures or publishes wrong bytes meanwhile."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from lakehouse.damage import marked_damaged
from lakehouse.dimensions.step import dimensions as measure_dimensions
from lakehouse.ingestion.entities import entities
from lakehouse.ingestion.land import land
from lakehouse.ingestion.storing import store
from lakehouse.objects import object_uri
from lakehouse.query import fetch
from loaders.stores.local import LocalFiles
from tests.ingestion.files import landed, png, put, source, stored_objects
from tests.ingestion.test_land import sha

LARGE = b"petrel" * store.CHUNK_BYTES


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def turn_into_folder(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.parent)


DAMAGE = [flip, cut, Path.unlink, turn_into_folder]


def place(lake, data: bytes) -> Path:
    return lake.root / object_uri(sha(data))


def notes(receipt) -> dict[str, int]:
    return {note.rule: note.count for note in receipt.notes}


@pytest.fixture
def drop(tmp_path):
    folder = tmp_path / "drop"
    for name, data in (("a.png", png(1)), ("b.png", png(2)), ("large.bin", LARGE)):
        put(folder, name, data)
    return folder


@pytest.mark.parametrize("data", [png(1), LARGE], ids=["small", "large"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_bytes_that_are_landed_under_another_name_heal_the_object_they_have(lake, drop, tmp_path, damage, data):
    land(lake, source(drop))
    whole = stored_objects(lake)
    damage(place(lake, data))
    put(tmp_path / "other", "same.bin", data)

    receipt = land(lake, source(tmp_path / "other", drop="second"))

    assert (receipt.counts["healed"], receipt.counts["duplicate"], receipt.bytes_written) == (1, 1, len(data))
    assert notes(receipt)["healed"] == 1
    assert stored_objects(lake) == whole
    shutil.copytree(tmp_path / "other", tmp_path / "third")
    assert "healed" not in land(lake, source(tmp_path / "third", drop="third")).counts


@pytest.mark.parametrize("damage", [cut, Path.unlink, turn_into_folder])
def test_landing_the_same_folder_again_heals_what_is_lost_or_of_another_size(lake, drop, damage):
    land(lake, source(drop))
    whole = stored_objects(lake)
    damage(place(lake, png(1)))

    healed, again = land(lake, source(drop)), land(lake, source(drop))

    assert healed.counts == {"seen": 3, "stored": 0, "duplicate": 1, "refused": 0, "unchanged": 2, "healed": 1}
    assert notes(healed) == {"healed": 1}
    assert again.counts == {"seen": 3, "stored": 0, "duplicate": 0, "refused": 0, "unchanged": 3}
    assert stored_objects(lake) == whole
    assert len(landed(lake)) == 3


def test_an_empty_object_that_was_lost_is_healed_too(lake, tmp_path):
    put(tmp_path / "drop", "empty.bin", b"")
    land(lake, source(tmp_path / "drop"))
    place(lake, b"").unlink()
    assert land(lake, source(tmp_path / "drop")).counts["healed"] == 1
    assert stored_objects(lake) == {sha(b""): b""}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_a_reader_found_damaged_is_healed_by_landing_the_same_folder_again(lake, drop, damage):
    land(lake, source(drop, include=("*.png",)))
    entities(lake)
    whole = stored_objects(lake)
    damage(place(lake, png(1)))

    met = measure_dimensions(lake)
    healed = land(lake, source(drop, include=("*.png",)))
    measured = measure_dimensions(lake)

    assert (met.counts["rejected"], notes(met)) == (4, {"unreadable": 4})
    assert "land the same files again" in met.notes[0].example
    assert healed.counts["healed"] == 1
    assert stored_objects(lake) == whole
    assert (measured.counts["measured"], measured.counts["rejected"]) == (4, 0)
    assert marked_damaged(lake.root) == frozenset()
    assert land(lake, source(drop, include=("*.png",))).counts["unchanged"] == 2


@pytest.mark.parametrize("damage", [flip, cut])
def test_no_entity_is_made_of_bytes_that_are_not_those_it_would_be_named_by(lake, drop, damage):
    land(lake, source(drop, include=("*.png",)))
    damage(place(lake, png(1)))

    met, still = entities(lake), entities(lake)

    assert met.counts == still.counts | {"seen": 2, "stored": 1} == {
        "seen": 2, "stored": 1, "duplicate": 0, "rejected": 1}
    assert still.counts["rejected"] == 1, "looked at again, each time"
    assert notes(met) == {"damaged_object": 1}
    assert "land the same files again" in met.notes[0].example
    assert fetch(lake, "select entity_id from silver.entities") == [{"entity_id": sha(png(2))}]
    assert land(lake, source(drop, include=("*.png",))).counts["healed"] == 1
    assert entities(lake).counts == {"seen": 1, "stored": 1, "duplicate": 0, "rejected": 0}


def test_a_run_that_is_killed_between_the_object_and_the_row_has_healed_all_the_same(lake, drop, monkeypatch):
    land(lake, source(drop))
    whole = stored_objects(lake)
    place(lake, png(1)).unlink()
    cut(place(lake, png(2)))
    publish = LocalFiles.publish

    def killed(objects, staged):
        publish(objects, staged)
        raise KeyboardInterrupt

    monkeypatch.setattr(LocalFiles, "publish", killed)
    with pytest.raises(KeyboardInterrupt):
        land(lake, source(drop))
    monkeypatch.undo()

    assert stored_objects(lake) == whole
    assert "healed" not in land(lake, source(drop)).counts


def test_a_run_that_is_killed_before_the_rename_leaves_the_damage_to_the_next(lake, drop, monkeypatch):
    land(lake, source(drop))
    whole = stored_objects(lake)
    cut(place(lake, png(2)))

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(store.os, "rename", killed)
    with pytest.raises(KeyboardInterrupt):
        land(lake, source(drop))
    monkeypatch.undo()

    assert land(lake, source(drop)).counts["healed"] == 1
    assert stored_objects(lake) == whole


def test_a_file_that_has_other_bytes_now_heals_nothing_and_that_is_told(lake, drop):
    land(lake, source(drop))
    place(lake, png(1)).unlink()
    put(drop, "a.png", b"x" * len(png(1)))

    receipt = land(lake, source(drop))

    assert "healed" not in receipt.counts
    assert notes(receipt) == {"not_healed": 1}


def test_an_object_that_was_put_back_by_hand_is_no_longer_marked_once_its_file_is_landed(lake, drop):
    land(lake, source(drop, include=("*.png",)))
    entities(lake)
    flip(place(lake, png(1)))
    measure_dimensions(lake)
    place(lake, png(1)).write_bytes(png(1))

    assert "healed" not in land(lake, source(drop, include=("*.png",))).counts
    assert marked_damaged(lake.root) == frozenset()


def test_a_linked_file_has_no_object_and_nothing_is_said_of_one(lake, drop):
    land(lake, source(drop, mode="link"))
    (drop / "a.png").unlink()
    assert set(notes(land(lake, source(drop, mode="link")))) == {"gone"}


@pytest.mark.spark
def test_spark_heals_what_is_lost_or_of_another_size(spark_lake, drop):
    land(spark_lake, source(drop))
    whole = stored_objects(spark_lake)
    cut(place(spark_lake, png(1)))
    place(spark_lake, png(2)).unlink()
    assert land(spark_lake, source(drop)).counts["healed"] == 2
    assert stored_objects(spark_lake) == whole
    assert land(spark_lake, source(drop)).counts["unchanged"] == 3
