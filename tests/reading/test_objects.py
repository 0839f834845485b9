"""The bytes of an entity: whole and compared with its id, or as a file that reads what it is asked for."""

from __future__ import annotations

import io
import os

import pytest
from PIL import Image

import lakehouse as lh
from lakehouse.errors import ConfigError, DamagedObjectError, EntityNotFoundError, IngestError
from lakehouse.objects import object_uri, read_range
from lakehouse.reading import objects
from lakehouse.tables.insert import insert_rows
from schemas.tables import ENTITIES
from tests.ingestion.files import png, put, source
from tests.making import add_entities, entity_id

PICTURE = png(1, side=600)


@pytest.fixture
def held(lake, tmp_path):
    """A lake that holds one picture; its id."""
    put(tmp_path / "drop", "a.png", PICTURE)
    return _landed(lake, tmp_path)


@pytest.fixture
def linked(lake, tmp_path):
    """A lake to which one picture is linked; its id."""
    put(tmp_path / "drop", "a.png", PICTURE)
    return _landed(lake, tmp_path, mode="link")


def _landed(lake, tmp_path, **options):
    lh.land(lake, source(tmp_path / "drop", **options))
    lh.entities(lake)
    return lake.read_table("silver.entities", columns=["entity_id"])["entity_id"][0].as_py()


def test_an_object_is_read_whole_or_in_part(lake, held):
    assert lake.read_object(held) == PICTURE
    with lake.open_object(held) as file:
        assert Image.open(file).size == (600, 600)
    with lake.open_object(held, range=(10, 20)) as file:
        assert (file.read(4), file.tell(), file.read()) == (PICTURE[10:14], 4, PICTURE[14:20])
        assert file.seek(-3, os.SEEK_END) == 7
        assert file.read(100) == PICTURE[17:20]
    with lake.open_object(held, range=(len(PICTURE) - 5, None)) as file:
        assert file.read() == PICTURE[-5:]


def test_a_linked_file_is_read_where_it_lies(lake, linked):
    assert lake.read_object(linked) == PICTURE
    with lake.open_object(linked) as file:
        assert file.read() == PICTURE


def test_only_what_is_asked_for_is_read(lake, held, monkeypatch):
    read = []
    monkeypatch.setattr(objects, "BUFFER_BYTES", 16)
    monkeypatch.setattr(objects, "read_range", lambda *place: read.append(place[-2:]) or read_range(*place))
    with lake.open_object(held, range=(100, None)) as file:
        file.seek(50)
        file.read(8)
    assert read == [(150, 16)]


@pytest.mark.parametrize("size", [1, 100, 1 << 20, -1])
def test_a_file_read_to_its_end_is_compared_with_its_id(lake, held, size):
    _flip(lake, held)
    with pytest.raises(DamagedObjectError, match="the same files again"), lake.open_object(held) as file:
        list(iter(lambda: file.read(size), b""))
    with pytest.raises(DamagedObjectError):
        lake.read_object(held)


def test_a_linked_file_that_was_changed_is_told(lake, linked, tmp_path):
    (tmp_path / "drop" / "a.png").write_bytes(PICTURE[:-1] + b"!")
    for read in (lake.read_object, lambda thing: lake.open_object(thing).read()):
        with pytest.raises(IngestError, match="a linked file was changed"):
            read(linked)
    (tmp_path / "drop" / "a.png").write_bytes(PICTURE[:-9])
    with pytest.raises(IngestError, match="it ends before byte"):
        lake.open_object(linked).read()


def test_an_object_that_is_gone_is_told_from_one_that_never_was(lake, held):
    (lake.root / object_uri(held)).unlink()
    with pytest.raises(IngestError, match="cannot read objects/.*To mend it"):
        lake.read_object(held)
    with pytest.raises(EntityNotFoundError, match="no entity ffff"):
        lake.open_object("f" * 64)
    with pytest.raises(ConfigError, match="'abc' is no entity id"):
        lake.read_object("abc")


def test_what_is_derived_and_not_stored_says_of_what(lake):
    add_entities(lake, ["whole"])
    clip = {"entity_id": entity_id("clip"), "media_type": "image/png", "size_bytes": 0, "storage": "none",
            "parent_id": entity_id("whole"), "operation": "crop", "group_keys": {}, "origin": "real"}  # fmt: skip
    insert_rows(lake, ENTITIES, [clip], step="test")
    with pytest.raises(EntityNotFoundError, match=f"derived from {entity_id('whole')} by crop"):
        lake.read_object(entity_id("clip"))


@pytest.mark.parametrize("range", [(-1, 5), (5, 4), (0, len(PICTURE) + 1), (len(PICTURE) + 1, None)])
def test_a_range_that_is_not_there_is_refused(lake, held, range):
    with pytest.raises(ConfigError, match=f"<= {len(PICTURE)}, its size in bytes"):
        lake.open_object(held, range=range)


def test_a_file_is_one_for_those_who_take_files(lake, held):
    file = lake.open_object(held)
    assert (file.readable(), file.seekable(), file.writable()) == (True, True, False)
    assert isinstance(file, io.BufferedIOBase)
    file.close()
    with pytest.raises(ValueError, match="closed"):
        file.read()


def _flip(lake, thing):
    path = lake.root / object_uri(thing)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)
