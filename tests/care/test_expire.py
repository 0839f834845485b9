"""expire: bytes that are old enough go, rows and a tombstone stay; what datasets need blocks it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lakehouse.audit.verify import verify
from lakehouse.care import expire as expire_step
from lakehouse.care.erase import erase
from lakehouse.care.expire import expire
from lakehouse.deriving.registry import transform_named
from lakehouse.deriving.step import derive
from lakehouse.deriving.transform import chain_of
from lakehouse.dimensions.step import dimensions
from lakehouse.embedding.descriptor import DESCRIPTOR
from lakehouse.embedding.step import embed
from lakehouse.erasures import erasures
from lakehouse.errors import BytesNeededError, ConfigError, EntityNotFoundError, IngestError
from lakehouse.ingestion.entities import entities
from lakehouse.ingestion.land import land
from lakehouse.objects import object_uri, read_bytes
from lakehouse.query import fetch
from lakehouse.reading.objects import read_object
from lakehouse.tables.insert import insert_rows
from schemas.tables import DATASET_MEMBERS, DATASET_TAGS, DATASETS
from tests.ingestion.files import landed, png, put, source, stored_objects
from tests.making import small_lake
from tests.tables.making import sample_rows

DAYS = timedelta(days=90)


@pytest.fixture
def lake(tmp_path, clock):
    """An empty lake on the embedded engine."""
    with small_lake(tmp_path / "lake", clock=clock) as opened:
        yield opened


@pytest.fixture
def drop(tmp_path, lake, clock):
    """Two old files, landed and measured, and a new one."""
    folder = tmp_path / "drop"
    for number in (1, 2):
        put(folder, f"{number}.png", png(number))
    land(lake, source(folder))
    entities(lake)
    clock.forward(days=100)
    put(folder, "3.png", png(3))
    land(lake, source(folder))
    entities(lake)
    dimensions(lake)
    return folder


def ids(lake):
    return {row["path"]: row["sha256"] for row in landed(lake, "path, sha256")}


def pin(lake, entity_id, *, tag=None):
    """Record a dataset version that has an entity."""
    row = sample_rows(DATASETS)[0] | {"dataset_id": "d1", "name": "cells", "pins_json": "{}"}
    insert_rows(lake, DATASETS, [{k: v for k, v in row.items() if k != "row_hash"}], step="test")
    row = sample_rows(DATASET_MEMBERS)[0] | {"dataset_id": "d1", "entity_id": entity_id, "parent_ids": None}
    insert_rows(lake, DATASET_MEMBERS, [{k: v for k, v in row.items() if k != "row_hash"}], step="test")
    if tag:
        row = sample_rows(DATASET_TAGS)[0] | {"dataset_id": "d1", "name": "cells", "tag": tag}
        insert_rows(lake, DATASET_TAGS, [{k: v for k, v in row.items() if k != "row_hash"}], step="test")


def test_old_bytes_go_and_every_row_and_a_tombstone_stay(lake, drop, clock):
    before = landed(lake, "landed_id, row_hash"), fetch(lake, "select row_hash from silver.entities order by row_hash")
    receipt = expire(lake, source="photos", older_than=DAYS, reason="90 days")
    known = ids(lake)
    assert set(stored_objects(lake)) == {known["3.png"]}
    assert (receipt.counts["seen"], receipt.counts["expired"], receipt.counts["objects"]) == (2, 2, 2)
    assert receipt.counts["bytes"] == len(png(1)) + len(png(2))
    after = landed(lake, "landed_id, row_hash"), fetch(lake, "select row_hash from silver.entities order by row_hash")
    assert after == before
    (tombstone,) = erasures(lake.home)
    assert (tombstone.kind, tombstone.reason, tombstone.erased_at) == ("expiry", "90 days", clock.now.isoformat())
    assert tombstone.entities == sorted([known["1.png"], known["2.png"]])
    with pytest.raises(EntityNotFoundError, match=r"expired at .*90 days"):
        read_object(lake, known["1.png"])
    with pytest.raises(IngestError, match=r"expired at .*leave this entity out"):
        read_bytes(lake.home, object_uri(known["1.png"]))


def test_what_was_made_of_expired_bytes_is_told_while_it_stays(lake, drop):
    derive(lake, chain_of(["resize:height=8,width=8"], transform_named))
    derive(lake, chain_of(["rotate90"], transform_named), where="operation = 'resize@1'")  # of one colour: itself
    derive(lake, chain_of(["resize:height=9,width=9"], transform_named), where="operation = 'resize@1'")
    kept = len(stored_objects(lake))
    for dry_run in (True, False):
        notes = {note.rule: note for note in expire(lake, source="photos", older_than=DAYS, dry_run=dry_run).notes}
        assert notes["derived_kept"].count == 4
        assert notes["derived_kept"].example.startswith("what was made of these bytes keeps its own: ")
    assert len(stored_objects(lake)) == kept - 2


def test_a_second_run_expires_nothing(lake, drop):
    expire(lake, source="photos", older_than=DAYS)
    again = expire(lake, source="photos", older_than=DAYS)
    assert (again.counts["seen"], again.counts["expired"], again.counts["before"]) == (2, 0, 2)
    assert len(erasures(lake.home)) == 1


def test_a_lake_with_expired_bytes_is_whole_and_goes_on(lake, drop):
    expire(lake, source="photos", older_than=DAYS)
    put(drop, "again.png", png(1))
    receipt = land(lake, source(drop))
    assert (receipt.counts["refused"], receipt.counts["unchanged"]) == (1, 3)
    assert [row["rule"] for row in landed(lake) if row["path"] == "again.png"] == ["erased"]
    assert dict(entities(lake).counts) == {"seen": 1, "stored": 0, "duplicate": 0, "rejected": 1}
    assert dimensions(lake).counts["seen"] == 0
    assert embed(lake, DESCRIPTOR).counts == {"seen": 1, "embedded": 1, "rejected": 0}
    assert derive(lake, chain_of(["flip"], transform_named)).counts["seen"] == 1
    assert list(verify(lake)) == []


def test_what_a_dataset_has_blocks_it_by_name_and_tag(lake, drop):
    pin(lake, ids(lake)["1.png"], tag="paper")
    with pytest.raises(BytesNeededError, match=r"cells \(d1, @paper\), 1 of them"):
        expire(lake, source="photos", older_than=DAYS)
    assert len(stored_objects(lake)) == 3
    assert erasures(lake.home) == []
    rest = expire(lake, source="photos", older_than=DAYS, skip_pinned=True)
    assert (rest.counts["expired"], rest.counts["pinned"]) == (1, 1)
    assert set(stored_objects(lake)) == {ids(lake)["1.png"], ids(lake)["3.png"]}


def test_what_another_source_brought_too_or_came_again_stays(lake, drop, tmp_path):
    put(tmp_path / "other", "x.png", png(1))
    land(lake, source(tmp_path / "other", name="second"))
    put(drop, "2.png", png(2), at=1_800_000_000)
    land(lake, source(drop))
    receipt = expire(lake, source="photos", older_than=DAYS)
    assert (receipt.counts["expired"], receipt.counts["shared"]) == (0, 2)
    assert len(stored_objects(lake)) == 3


def test_a_dry_run_changes_nothing(lake, drop):
    receipt = expire(lake, source="photos", older_than=DAYS, dry_run=True)
    assert receipt.counts["expired"] == 2
    assert (len(stored_objects(lake)), erasures(lake.home)) == (3, [])


def test_an_expiry_that_was_killed_is_taken_up_by_the_next_and_not_by_an_erasure(lake, drop, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(expire_step, "delete_objects", _killed)
        with pytest.raises(KeyboardInterrupt):
            expire(lake, source="photos", older_than=DAYS)
    assert len(stored_objects(lake)) == 3
    erase(lake, entities=[ids(lake)["3.png"]], reason="asked for")
    assert len(stored_objects(lake)) == 2
    assert fetch(lake, "select count(*) as n from silver.entities") == [{"n": 2}]
    expire(lake, source="photos", older_than=DAYS)
    assert stored_objects(lake) == {}


def _killed(*_args):
    raise KeyboardInterrupt


def test_a_source_that_is_not_known_is_refused(lake, drop):
    with pytest.raises(ConfigError, match="no source `photo`"):
        expire(lake, source="photo", older_than=DAYS)
