"""land: folder -> objects and bronze.landed_files, in copy and in link mode."""

from __future__ import annotations

import hashlib
import json
import os

import pytest

from lakehouse.errors import IngestError
from lakehouse.ingestion import land as land_step
from lakehouse.ingestion.land import land
from lakehouse.ingestion.sources.delivery import list_source
from lakehouse.ingestion.storing import store
from lakehouse.ingestion.storing.pending import writing
from lakehouse.objects import objects_of
from lakehouse.query import fetch
from tests.ingestion.files import landed, png, put, source, stored_objects
from tests.making import small_lake

ZERO = {"seen": 0, "stored": 0, "duplicate": 0, "refused": 0, "unchanged": 0}


@pytest.fixture
def drop(tmp_path):
    folder = tmp_path / "drop"
    put(folder, "a.png", png(1))
    put(folder, "sub/ä.png", png(2))
    put(folder, "sub/again.png", png(1))
    put(folder, "empty.png", b"")
    return folder


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_bytes_become_objects_once_and_every_file_a_row(lake, drop):
    receipt = land(lake, source(drop))
    assert receipt.counts == ZERO | {"seen": 4, "stored": 3, "duplicate": 1}
    assert stored_objects(lake) == {sha(data): data for data in (png(1), png(2), b"")}
    assert receipt.bytes_written == len(png(1)) + len(png(2))
    assert landed(lake, "path, name, status, sha256, size_bytes, object_uri") == [
        {"path": path, "name": path.rpartition("/")[2], "status": "stored", "sha256": sha(data),
         "size_bytes": len(data), "object_uri": f"objects/{sha(data)[:2]}/{sha(data)}"}
        for path, data in (("a.png", png(1)), ("empty.png", b""), ("sub/again.png", png(1)), ("sub/ä.png", png(2)))
    ]


def test_a_row_says_what_the_source_says(lake, drop, clock):
    land(lake, source(drop, drop="june", licence="CC0", campaign="", origin="synthetic"))
    row = landed(lake, "source, drop_name, licence, campaign, origin, landed_at, mtime_at, sidecar_json, rule")[0]
    assert row == {
        "source": "photos", "drop_name": "june", "licence": "CC0", "campaign": None, "origin": "synthetic",
        "landed_at": clock.now, "mtime_at": row["mtime_at"], "sidecar_json": None, "rule": None,
    }
    assert row["mtime_at"].timestamp() == 1_700_000_000


def test_a_second_run_writes_nothing_and_says_so(lake, drop, clock):
    land(lake, source(drop))
    clock.forward(days=1)
    again = land(lake, source(drop))
    assert again.counts == ZERO | {"seen": 4, "unchanged": 4}
    assert not again.changed


def test_a_second_run_without_its_note_reads_no_file_again(lake, drop, monkeypatch):
    land(lake, source(drop))
    for note in (lake.runs / "fresh").iterdir():
        note.unlink()
    monkeypatch.setattr(store, "_read", lambda *_: pytest.fail("a file was read again"))
    assert land(lake, source(drop)).counts == ZERO | {"seen": 4, "unchanged": 4}


def test_a_new_file_is_landed_alone(lake, drop):
    land(lake, source(drop))
    put(drop, "b.png", png(3))
    put(drop, "c.png", png(2))
    assert land(lake, source(drop)).counts == ZERO | {"seen": 6, "stored": 1, "duplicate": 1, "unchanged": 4}


def test_other_bytes_under_the_same_name_are_another_observation_and_the_old_bytes_stay(lake, drop):
    land(lake, source(drop))
    put(drop, "a.png", png(9), at=1_700_000_001)
    assert land(lake, source(drop)).counts == ZERO | {"seen": 4, "stored": 1, "unchanged": 3}
    assert [row["sha256"] for row in landed(lake, "path, sha256") if row["path"] == "a.png"].count(sha(png(9))) == 1
    assert {sha(png(1)), sha(png(9))} <= set(stored_objects(lake))


def test_a_touched_file_is_read_again_and_stores_nothing(lake, drop):
    land(lake, source(drop))
    put(drop, "a.png", png(1), at=1_700_000_555)
    receipt = land(lake, source(drop))
    assert receipt.counts == ZERO | {"seen": 4, "duplicate": 1, "unchanged": 3}
    assert receipt.bytes_written == 0


def test_another_drop_or_source_observes_the_same_files_and_stores_nothing(lake, drop):
    land(lake, source(drop))
    assert land(lake, source(drop, drop="july")).counts == ZERO | {"seen": 4, "duplicate": 4}
    assert land(lake, source(drop, name="others")).counts == ZERO | {"seen": 4, "duplicate": 4}
    assert len(stored_objects(lake)) == 3


def test_a_licence_that_was_corrected_is_observed(lake, drop):
    land(lake, source(drop))
    land(lake, source(drop, licence="CC-BY-4.0"))
    assert {row["licence"] for row in landed(lake, "path, licence")} == {None, "CC-BY-4.0"}
    assert land(lake, source(drop, licence="CC-BY-4.0")).rows_new == 0


def test_an_empty_folder_lands_nothing(lake, tmp_path):
    (tmp_path / "empty").mkdir()
    receipt = land(lake, source(tmp_path / "empty"))
    assert receipt.counts == ZERO
    assert not receipt.changed


def test_a_missing_folder_writes_nothing_and_leaves_no_receipt(lake, tmp_path):
    with pytest.raises(IngestError, match="no folder"):
        land(lake, source(tmp_path / "nowhere"))
    assert not lake.runs.exists()


def test_a_refused_file_is_a_row_with_a_reason_and_is_tried_again(lake, drop):
    (drop / "link.png").symlink_to(drop / "a.png")
    assert land(lake, source(drop)).counts == ZERO | {"seen": 5, "stored": 3, "duplicate": 1, "refused": 1}
    again = land(lake, source(drop))
    assert again.counts == ZERO | {"seen": 5, "refused": 1, "unchanged": 4}
    assert again.rows_new == 0
    (row,) = fetch(lake, "select path, status, rule, sha256, object_uri, size_bytes from bronze.landed_files "
                         "where status = 'refused'")
    assert row == {"path": "link.png", "status": "refused", "rule": "symlink", "sha256": None, "object_uri": None,
                   "size_bytes": 0}
    (drop / "link.png").unlink()
    put(drop, "link.png", png(4))
    assert land(lake, source(drop)).counts == ZERO | {"seen": 5, "stored": 1, "unchanged": 4}


def test_a_file_above_the_limit_is_refused_with_both_numbers(tmp_path, drop):
    put(drop, "big.png", b"x" * 101)
    with small_lake(tmp_path / "lake", "land.max_file_bytes=100") as lake:
        land(lake, source(drop, include=("big.png", "empty.png")))
        assert landed(lake, "path, rule, reason")[0] == {
            "path": "big.png", "rule": "too_large", "reason": "101 bytes, limit 100"
        }


@pytest.mark.timeout(30)
def test_a_fifo_that_takes_the_place_of_a_listed_file_is_refused_without_waiting(lake, drop, monkeypatch):
    listing = store._store

    def swap(told, **others):
        if told[0].endswith("/a.png"):
            (drop / "a.png").unlink()
            os.mkfifo(drop / "a.png")
        return listing(told, **others)

    monkeypatch.setattr(store, "_store", swap)
    land(lake, source(drop))
    assert landed(lake)[0] == {"path": "a.png", "status": "refused", "rule": "not_a_regular_file"}


@pytest.mark.parametrize("size", [10, store.CHUNK_BYTES + 10])
def test_a_file_that_changes_while_it_is_read_is_refused_and_no_mixture_is_kept(lake, tmp_path, monkeypatch, size):
    path = put(tmp_path / "drop", "a.bin", b"a" * size)
    check = store.check_unchanged

    def grow(source_, before, read):
        with open(path, "ab") as file:
            file.write(b"b")
        return check(source_, before, read)

    monkeypatch.setattr(store, "check_unchanged", grow)
    assert land(lake, source(tmp_path / "drop")).counts == ZERO | {"seen": 1, "refused": 1}
    assert landed(lake) == [{"path": "a.bin", "status": "refused", "rule": "changed_while_reading"}]
    assert stored_objects(lake) == {}
    assert [path.name for path in lake.scratch.glob("*.staged")] == []


def test_a_file_that_changes_once_is_read_once_more(lake, tmp_path, monkeypatch):
    path = put(tmp_path / "drop", "a.bin", b"old")
    check, changed = store.check_unchanged, []

    def grow_once(source_, before, read):
        if not changed:
            changed.append(path.write_bytes(b"new and longer"))
        return check(source_, before, read)

    monkeypatch.setattr(store, "check_unchanged", grow_once)
    land(lake, source(tmp_path / "drop"))
    assert stored_objects(lake) == {sha(b"new and longer"): b"new and longer"}


def test_large_files_and_small_ones_are_stored_alike(lake, tmp_path):
    large = bytes(range(256)) * (store.CHUNK_BYTES // 128)
    for name in ("one.bin", "two.bin"):
        put(tmp_path / "drop", name, large)
    put(tmp_path / "drop", "edge.bin", large[: store.CHUNK_BYTES])
    receipt = land(lake, source(tmp_path / "drop"))
    assert receipt.counts == ZERO | {"seen": 3, "stored": 2, "duplicate": 1}
    assert receipt.bytes_written == len(large) + store.CHUNK_BYTES
    assert set(stored_objects(lake)) == {sha(large), sha(large[: store.CHUNK_BYTES])}
    assert list(lake.scratch.glob("*.staged")) == []


def test_a_torn_object_of_the_right_name_is_replaced_whole(lake, drop):
    data = png(1)
    torn = put(lake.root, f"objects/{sha(data)[:2]}/{sha(data)}", data[:5])
    land(lake, source(drop))
    assert torn.read_bytes() == data


@pytest.mark.parametrize("call", ["write", "fsync", "rename"])
def test_a_lake_that_cannot_be_written_stops_the_run_and_blames_no_file(lake, drop, monkeypatch, call):
    def full(*_):
        raise OSError(28, "No space left on device")

    assert lake.engine.name == "embedded"  # started before the disk is full
    monkeypatch.setattr(store.os, call, full)
    with pytest.raises(IngestError, match=r"cannot write .*No space left on device"):
        land(lake, source(drop))
    assert landed(lake) == []


def test_a_scratch_folder_that_vanished_blames_no_file(tmp_path):
    with pytest.raises(IngestError, match=r"cannot write to the lake .*gone.*No such file or directory"):
        with writing():
            objects_of(tmp_path, scratch=tmp_path / "gone").stage()


def test_work_is_committed_in_portions(tmp_path, drop):
    with small_lake(tmp_path / "lake", "land.files_per_commit=3") as lake:
        receipt = land(lake, source(drop))
        (write,) = receipt.writes
        assert (write.version_after - write.version_before, write.rows_new) == (2, 4)
        assert receipt.counts == ZERO | {"seen": 4, "stored": 3, "duplicate": 1}


def test_in_link_mode_the_bytes_stay_where_they_are(lake, drop):
    receipt = land(lake, source(drop, mode="link"))
    assert receipt.counts == ZERO | {"seen": 4, "stored": 3, "duplicate": 1}
    assert receipt.bytes_written == 0
    assert stored_objects(lake) == {}
    row = landed(lake, "path, status, sha256, object_uri, uri")[0]
    assert row == {"path": "a.png", "status": "linked", "sha256": sha(png(1)), "object_uri": row["uri"],
                   "uri": (drop / "a.png").as_uri()}
    assert land(lake, source(drop, mode="link")).counts == ZERO | {"seen": 4, "unchanged": 4}


def test_from_link_to_copy_the_bytes_come_after(lake, drop):
    land(lake, source(drop, mode="link"))
    assert land(lake, source(drop)).counts == ZERO | {"seen": 4, "stored": 3, "duplicate": 1}
    assert len(stored_objects(lake)) == 3


def test_a_sidecar_comes_with_its_rows_and_with_the_files_it_describes(lake, drop):
    (drop / "meta.csv").write_text("file,patient,taken\na.png,7,2024-01-01\nsub/ä.png,é,\nnowhere.png,1,\n")
    land(lake, source(drop, sidecar="meta.csv", sidecar_key="file", captured_at="taken",
                      group_keys={"patient": "patient"}))
    rows = {row["path"]: row for row in landed(lake, "path, captured_at, group_keys, sidecar_json")}
    assert dict(rows["a.png"]["group_keys"]) == {"patient": "7"}
    assert rows["a.png"]["captured_at"].isoformat() == "2024-01-01T00:00:00+00:00"
    assert json.loads(rows["sub/ä.png"]["sidecar_json"]) == {"file": "sub/ä.png", "patient": "é", "taken": ""}
    assert (rows["empty.png"]["sidecar_json"], rows["empty.png"]["group_keys"]) == (None, [])
    raw = fetch(lake, "select ordinal, kind, payload, origin from bronze.raw_records order by ordinal")
    assert [(each["ordinal"], each["kind"]) for each in raw] == [(1, "sidecar"), (2, "sidecar"), (3, "sidecar")]
    assert raw[0]["origin"] == (drop / "meta.csv").as_uri()


def test_a_sidecar_that_changed_makes_new_observations_of_its_files_alone(lake, drop):
    meta = drop / "meta.csv"
    meta.write_text("file,patient\na.png,7\nsub/ä.png,8\n")
    of = source(drop, sidecar="meta.csv", sidecar_key="file", group_keys={"patient": "patient"})
    land(lake, of)
    assert land(lake, of).rows_new == 0
    meta.write_text("file,patient\na.png,7\nsub/ä.png,9\n")
    assert land(lake, of).counts == ZERO | {"seen": 4, "duplicate": 1, "unchanged": 3}


def test_a_group_key_that_is_asked_for_later_is_observed(lake, drop):
    (drop / "meta.csv").write_text("path,patient\na.png,7\n")
    land(lake, source(drop, sidecar="meta.csv"))
    land(lake, source(drop, sidecar="meta.csv", group_keys={"patient": "patient"}))
    assert [dict(row["group_keys"]) for row in landed(lake, "path, group_keys") if row["path"] == "a.png"].count(
        {"patient": "7"}) == 1


def test_a_folder_whose_name_is_no_text_can_be_landed(lake, tmp_path):
    folder = os.path.join(os.fsencode(tmp_path), b"drop\xff")
    os.mkdir(folder)
    with open(os.path.join(folder, b"a.png"), "wb") as file:
        file.write(png(1))
    assert land(lake, source(os.fsdecode(folder))).counts == ZERO | {"seen": 1, "stored": 1}


def test_the_lake_inside_the_source_is_not_landed(tmp_path):
    put(tmp_path, "a.png", png(1))
    with small_lake(tmp_path / "lake") as lake:
        assert land(lake, source(tmp_path)).counts == ZERO | {"seen": 1, "stored": 1}
        assert land(lake, source(tmp_path)).counts == ZERO | {"seen": 1, "unchanged": 1}


def test_two_runs_at_other_times_give_the_same_row_hashes(tmp_path, drop, clock):
    hashes = []
    for place in ("one", "two"):
        clock.forward(days=400)
        with small_lake(tmp_path / place, clock=clock) as lake:
            land(lake, source(drop))
            hashes.append([row["row_hash"] for row in landed(lake, "path, landed_id, row_hash")])
    assert hashes[0] == hashes[1]


@pytest.mark.parametrize(("kept", "listings"), [(4, 1), (3, 2)])
def test_a_folder_is_listed_once_unless_it_is_too_large_to_keep(lake, drop, monkeypatch, kept, listings):
    walks = []

    def counted(*args, **options):
        walks.append(args)
        return list_source(*args, **options)

    monkeypatch.setattr(land_step, "list_source", counted)
    monkeypatch.setattr(land_step, "KEPT_FILES", kept)
    assert land(lake, source(drop)).counts == ZERO | {"seen": 4, "stored": 3, "duplicate": 1}
    assert len(walks) == listings
    assert land(lake, source(drop)).counts == ZERO | {"seen": 4, "unchanged": 4}
