"""land of a folder into a lake in a bucket: what is asked and written, and what is there already."""

from __future__ import annotations

import hashlib
import os
import threading

import pytest

from lakehouse.config import Config, EngineConfig, LakeConfig, StoreConfig
from lakehouse.ingestion.land import land
from lakehouse.ingestion.sources.source import Source
from lakehouse.ingestion.storing import store
from lakehouse.objects import object_uri
from lakehouse.opening import open_lake
from tests.buckets.faults import Fault
from tests.buckets.lakes import use

SMALL, LARGE = 1_000, (1 << 20) + 10
FILES = {"a.bin": b"a" * SMALL, "b.bin": b"b" * LARGE, "c.bin": b"c" * SMALL, "again/a.bin": b"a" * SMALL,
         "again/b.bin": b"b" * LARGE}  # fmt: skip


@pytest.fixture
def drop(tmp_path):
    folder = tmp_path / "drop"
    for name, data in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture(params=[False, True], ids=["conditional", "single_writer"])
def lake(request, shaky, tmp_path, monkeypatch):
    address = use(shaky, tmp_path, monkeypatch)
    stores = {"mine": StoreConfig(url=shaky.url, single_writer=request.param)}
    config = Config(lake=LakeConfig(root=address), engine=EngineConfig(workers=1), stores=stores)
    with open_lake(config, create=True) as opened:
        yield opened


def name_of(data: bytes) -> str:
    return object_uri(hashlib.sha256(data).hexdigest())


def put(proxy) -> list[str]:
    return sorted(each.key for each in proxy.asked("PUT", "/objects/"))


def test_equal_files_are_written_once_and_the_counts_say_so(lake, proxy, drop):
    receipt = land(lake, Source(name="photos", folder=str(drop)))
    assert receipt.counts == {"seen": 5, "stored": 3, "duplicate": 2, "refused": 0, "unchanged": 0}
    assert receipt.bytes_written == 2 * SMALL + LARGE
    assert len(put(proxy)) == len(set(put(proxy))) == 3
    for data in FILES.values():
        assert lake.home.files.read_whole(name_of(data)) == data


def test_small_objects_are_looked_for_by_putting_them(lake, proxy, drop):
    (drop / "b.bin").unlink()
    (drop / "again" / "b.bin").unlink()
    land(lake, Source(name="photos", folder=str(drop)))
    looks = len(proxy.asked("HEAD", "/objects/"))
    assert looks == (2 if lake.home.store.single_writer else 0)


@pytest.mark.parametrize("name", ["a.bin", "b.bin"])
def test_what_is_there_is_compared_and_written_anew_only_if_it_is_damaged(lake, proxy, drop, name):
    data = FILES[name]
    lake.home.files.put(name_of(data), data)
    (drop / "again" / name).unlink()
    other = FILES["c.bin"]
    lake.home.files.put(name_of(other), other[:-1] + b"x")
    receipt = land(lake, Source(name="photos", folder=str(drop)))
    assert (receipt.counts["seen"], receipt.counts["stored"]) == (4, 3)
    assert lake.home.files.read_whole(name_of(other)) == other
    written = [each.key for each in proxy.asked("PUT", "/objects/") if each.status == 200]
    assert sum(key.endswith(name_of(data)) for key in written) == 1  # by this test


def test_a_put_whose_answer_is_lost_is_no_object_that_was_there(lake, proxy, drop):
    with proxy.injecting(Fault("lost", times=2, method="PUT", path="/objects/")):
        receipt = land(lake, Source(name="photos", folder=str(drop)))
    assert receipt.counts["stored"] == 3
    assert receipt.bytes_written == 2 * SMALL + LARGE
    assert proxy.struck()["lost"] == 2


def test_files_are_sent_beside_one_another(lake, tmp_path, monkeypatch):
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(16):
        (folder / f"{number}.bin").write_bytes(os.urandom(100))
    meeting, keep = threading.Barrier(8, timeout=20), store._store

    def meet(told, **others):
        meeting.wait()
        return keep(told, **others)

    monkeypatch.setattr(store, "_store", meet)
    assert land(lake, Source(name="many", folder=str(folder))).counts["stored"] == 16
