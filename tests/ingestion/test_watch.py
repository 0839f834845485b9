"""watch: what arrives is landed once, batch by batch; what is still written waits."""

from __future__ import annotations

import os
import threading

import pytest

from lakehouse.errors import ConfigError, IngestError
from lakehouse.ingestion.land import land
from lakehouse.ingestion.resting import Resting
from lakehouse.ingestion.sources.listing import list_folder
from lakehouse.ingestion.storing import store
from lakehouse.ingestion.watch import Batches, watch
from lakehouse.query import fetch
from tests.ingestion.files import landed, png, put, source
from tests.making import small_lake

ZERO = {"seen": 0, "stored": 0, "duplicate": 0, "refused": 0, "unchanged": 0}
END = {"looks": 1, "batches": 0, "seen": 0, "taken": 0, "waiting": 0}


@pytest.fixture
def drop(tmp_path):
    folder = tmp_path / "drop"
    for number in range(5):
        put(folder, f"{number}.png", png(number))
    return folder


def counts(receipts):
    return [receipt.counts for receipt in receipts]


def test_what_is_there_is_landed_in_batches_by_files(lake, drop):
    receipts = list(watch(lake, source(drop), batches=Batches(max_files=2)))
    assert counts(receipts) == [
        ZERO | {"seen": 2, "stored": 2}, ZERO | {"seen": 2, "stored": 2}, ZERO | {"seen": 1, "stored": 1},
        END | {"batches": 3, "seen": 5, "taken": 5},
    ]
    assert [receipt.step for receipt in receipts] == ["land", "land", "land", "watch"]
    assert receipts[1].details == {"source": "photos", "batch": "2"}
    assert [row["path"] for row in landed(lake)] == [f"{number}.png" for number in range(5)]


def test_a_batch_has_bytes_to_a_limit_and_a_larger_file_is_one_by_itself(lake, tmp_path):
    for name, size in (("a", 60), ("b", 40), ("c", 500), ("d", 1)):
        put(tmp_path / "drop", name, name.encode() * size)
    receipts = list(watch(lake, source(tmp_path / "drop"), batches=Batches(max_bytes=100)))
    assert [receipt.counts["seen"] for receipt in receipts[:-1]] == [2, 1, 1]


def test_a_second_watch_reads_nothing_and_says_so(lake, drop, monkeypatch):
    list(watch(lake, source(drop)))
    monkeypatch.setattr(store, "_read", lambda *_: pytest.fail("a file was read again"))
    assert counts(watch(lake, source(drop))) == [END | {"seen": 5}]


def test_land_and_watch_know_of_one_another(lake, drop):
    land(lake, source(drop))
    assert counts(watch(lake, source(drop))) == [END | {"seen": 5}]
    put(drop, "new.png", png(9))
    list(watch(lake, source(drop)))
    assert land(lake, source(drop)).counts == ZERO | {"seen": 6, "unchanged": 6}


def test_a_watch_lands_the_same_rows_as_land(lake, drop, tmp_path, clock):
    put(drop, "again.png", png(1))
    (drop / "link.png").symlink_to("1.png")
    list(watch(lake, source(drop), batches=Batches(max_files=3)))
    with small_lake(tmp_path / "other", clock=clock) as other:
        land(other, source(drop))
        columns = "landed_id, path, status, sha256, row_hash"
        assert landed(lake, columns) == landed(other, columns)


def test_an_overwritten_file_is_a_new_observation_however_late_its_time(lake, drop):
    list(watch(lake, source(drop)))
    put(drop, "3.png", png(30), at=1_500_000_000)
    assert counts(watch(lake, source(drop)))[0] == ZERO | {"seen": 1, "stored": 1}
    assert [row["size_bytes"] for row in landed(lake, "path, size_bytes") if row["path"] == "3.png"] == [
        len(png(3)), len(png(30))
    ]


def test_a_description_that_comes_later_is_a_new_observation(lake, drop):
    stating = source(drop, sidecar="said.csv", group_keys={"site": "site"})
    (drop / "said.csv").write_text("path,site\n1.png,north\n")
    list(watch(lake, stating))
    (drop / "said.csv").write_text("path,site\n1.png,north\n2.png,south\n")
    assert counts(watch(lake, stating))[0] == ZERO | {"seen": 1, "duplicate": 1}
    assert fetch(lake, "select payload from bronze.raw_records order by payload") == [
        {"payload": '{"path": "1.png", "site": "north"}'}, {"payload": '{"path": "2.png", "site": "south"}'}
    ]


def test_a_half_written_record_beside_a_file_refuses_that_file_and_stops_nothing(lake, drop):
    beside = source(drop, sidecar="per_file", captured_at="at")
    files = len(list(drop.glob("*.png")))
    for name, text in (("1", '{"at": '), ("2", '{"at": "noon"}'), ("3", "[7]")):
        (drop / f"{name}.png.json").write_text(text)
    receipt, *_ = watch(lake, beside)
    assert receipt.counts == ZERO | {"seen": files, "stored": files - 3, "refused": 3}
    assert [(note.rule, note.count) for note in receipt.notes] == [("bad_sidecar", 3)]
    assert land(lake, beside).counts == ZERO | {"seen": files, "unchanged": files - 3, "refused": 3}
    for name in "123":
        (drop / f"{name}.png.json").write_text('{"at": "2026-05-01"}')
    assert counts(watch(lake, beside))[0] == ZERO | {"seen": 3, "stored": 3}
    rows = fetch(lake, "select sidecar_json from bronze.landed_files where status = 'stored' and path = '1.png'")
    assert rows == [{"sidecar_json": '{"at": "2026-05-01"}'}]


def test_continuous_watching_takes_what_arrives_until_it_is_stopped(lake, drop):
    stop = threading.Event()
    taken = []
    for receipt in watch(lake, source(drop), every_s=0.001, stop=stop):
        taken.append(receipt.counts)
        if len(taken) == 1:
            put(drop, "later.png", png(7))
        if len(taken) == 2:
            stop.set()
    assert taken[:2] == [ZERO | {"seen": 5, "stored": 5}, ZERO | {"seen": 1, "stored": 1}]
    assert taken[2]["batches"] == 2
    assert taken[2]["looks"] >= 1
    assert len(taken) == 3


def test_it_stops_after_the_batch_under_way(lake, drop):
    stop = threading.Event()
    stream = watch(lake, source(drop), batches=Batches(max_files=2), stop=stop)
    next(stream)
    stop.set()
    assert counts(stream) == [END | {"looks": 1, "batches": 1, "taken": 2}]
    assert len(landed(lake)) == 2


def test_what_is_refused_is_not_tried_at_every_look(lake, drop):
    (drop / "link.png").symlink_to("1.png")
    stop = threading.Event()
    receipts = []
    for receipt in watch(lake, source(drop), every_s=0.001, stop=stop):
        receipts.append(receipt.counts)
        if len(receipts) == 1:
            put(drop, "later.png", png(7))
        stop.set() if len(receipts) == 2 else None
    assert [each["refused"] for each in receipts[:2]] == [1, 0]
    assert counts(watch(lake, source(drop)))[0] == ZERO | {"seen": 1, "refused": 1}


def test_a_file_that_was_just_written_waits_and_a_note_says_so(lake, drop):
    (drop / "new.png").write_bytes(png(8))  # no time of its own, as while a camera writes
    end = list(watch(lake, source(drop), every_s=None, batches=Batches(rest_s=3600), stop=_told_at_second_look()))[-1]
    assert end.counts["waiting"] == 1
    assert "new.png" in str(end.notes[0])
    assert "new.png" not in {row["path"] for row in landed(lake)}


class _told_at_second_look(threading.Event):
    """A stop that comes when the watch waits for what is still written."""

    def wait(self, timeout=None):
        self.set()
        return True


def test_a_file_rests_once_nothing_changed_for_a_while(tmp_path):
    now = [os.stat(tmp_path).st_mtime + 0.0]
    resting = Resting(2.0, clock=lambda: now[0])
    path = tmp_path / "growing.bin"

    def looked() -> bool:
        return resting.is_at_rest(next(iter(list_folder(source(tmp_path)))))

    path.write_bytes(b"half")
    now[0] = path.stat().st_mtime
    assert not looked()
    now[0] += 1.9
    assert not looked()
    with path.open("ab") as file:
        file.write(b" and half")
    now[0] = path.stat().st_mtime + 1.0
    assert not looked()
    now[0] += 2.0
    assert looked()


def test_a_file_that_was_moved_to_its_place_is_taken_at_once(tmp_path):
    (tmp_path / ".part").write_bytes(b"whole")
    os.utime(tmp_path / ".part", ns=(1, os.stat(tmp_path / ".part").st_mtime_ns - 1))  # coarse clocks: one tick before
    (tmp_path / ".part").rename(tmp_path / "whole.bin")
    resting = Resting(3600.0)
    assert resting.is_at_rest(next(iter(list_folder(source(tmp_path)))))


def test_a_file_that_grew_since_it_was_listed_waits(tmp_path):
    put(tmp_path, "a.bin", b"half")
    listed = next(iter(list_folder(source(tmp_path))))
    put(tmp_path, "a.bin", b"half and half")
    assert not Resting(0.0).is_at_rest(listed)


def test_several_sources_are_watched_together(lake, drop, tmp_path):
    put(tmp_path / "other", "x.png", png(50))
    both = [source(drop), source(tmp_path / "other", name="second")]
    assert [receipt.details.get("source") for receipt in watch(lake, both)] == ["photos", "second", None]
    with pytest.raises(ConfigError, match="name and drop of its own"):
        list(watch(lake, [source(drop), source(tmp_path / "other")]))


def test_an_error_ends_the_stream_and_the_next_goes_on(lake, drop, monkeypatch):
    stream = watch(lake, source(drop), batches=Batches(max_files=2))
    next(stream)
    with monkeypatch.context() as patched:
        patched.setattr("lakehouse.ingestion.landed.insert", _full)
        with pytest.raises(IngestError, match="disk is full"):
            next(stream)
    assert [each["seen"] for each in counts(watch(lake, source(drop)))] == [3, 5]
    assert len(landed(lake)) == 5


def _full(*_args, **_options):
    raise IngestError("the disk is full")


@pytest.mark.parametrize("wrong", [{"max_files": 0}, {"max_bytes": 0}, {"rest_s": -1.0}])
def test_limits_that_let_nothing_through_are_refused(wrong):
    with pytest.raises(ConfigError, match="expected"):
        Batches(**wrong)
