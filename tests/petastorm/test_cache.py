"""The local cache gives back what was put in or nothing, keeps to its size, and survives whatever happens to it."""

from __future__ import annotations

import datetime
import hashlib
import logging
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from loaders.errors import StorageError
from loaders.petastorm.cache import CacheBase, NullCache
from loaders.petastorm.local_disk_cache import LocalDiskCache

REPOSITORY = Path(__file__).parents[2]
KB, MB = 1 << 10, 1 << 20


def never():
    raise AssertionError("the value is in the cache")


def entries(folder):
    return sorted(folder.glob("*.range"))


def assert_same(found, wanted):
    """Equal, and of the same types all the way down."""
    assert type(found) is type(wanted)
    if isinstance(wanted, np.ndarray):
        assert found.dtype == wanted.dtype
        assert found.shape == wanted.shape
        assert found.flags.writeable
        assert found.flags.aligned
    if isinstance(wanted, dict):
        assert list(found) == list(wanted)
        for name in wanted:
            assert_same(found[name], wanted[name])
    elif isinstance(wanted, list) or (isinstance(wanted, np.ndarray) and wanted.dtype == object):
        for one, another in zip(found, wanted, strict=True):
            assert_same(one, another)
    else:
        np.testing.assert_array_equal(found, wanted)


ragged = np.empty(2, dtype=object)
ragged[:] = [np.arange(3), None]
VALUES = {
    "number": 42,
    "none": None,
    "columns": {
        "image": np.random.default_rng(1).integers(0, 255, (5, 4, 3), np.uint8),
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "scalar": np.float32(1.5),
        "flags": np.array([True, False]),
        "when": np.array(["2024-01-02", "NaT"], "datetime64[us]"),
        "text": np.array(["é", ""]),
        "empty": np.zeros((0, 7), np.int16),
        "ragged": ragged,
    },
    "rows": {
        "maybe": [np.int32(1), None, np.int32(3)],
        "nothing": [None, None],
        "arrays": [np.arange(3), None, np.arange(3) + 1],
        "of_two_shapes": [np.arange(3.0), np.zeros((2, 2))],
        "names": [np.str_("a"), None, np.str_("ü")],
        "moments": [np.datetime64("2024-01-02T03:04:05.123456"), None],
        "money": [Decimal("1.50"), None],
        "days": [datetime.date(2024, 2, 29), datetime.datetime(2024, 1, 2, 3)],
        "raw": [b"\x00\xff", b""],
        "plain": ["text", 1.5, True, [1, {"a": None}]],
        "none": [],
    },
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_values_come_back_as_they_were(tmp_path, value):
    assert_same(LocalDiskCache(tmp_path, MB, 4).get("key", lambda: value), value)
    cache = LocalDiskCache(tmp_path, MB, 4)  # in the next run
    assert_same(cache.get("key", never), value)
    assert_same(pickle.loads(pickle.dumps(cache)).get("key", never), value)


def test_a_kept_row_keeps_no_other_memory(tmp_path):
    cache = LocalDiskCache(tmp_path, 10 * MB, 4)
    cache.get("key", lambda: {"x": [np.zeros(100_000), None], "y": [np.zeros(2), np.zeros(3)]})
    found = cache.get("key", never)
    assert found["x"][0].base is None
    assert found["y"][0].base is None


def test_other_keys_have_other_values(tmp_path):
    cache = LocalDiskCache(tmp_path, MB, 4)
    keys = ["a", "b", "a/../b", "é" * 500]
    assert [cache.get(key, lambda key=key: key) for key in keys] == keys


def test_a_null_cache_asks_each_time():
    calls = []
    assert isinstance(NullCache(), CacheBase)
    assert [NullCache().get("key", lambda: calls.append(1)) for _ in range(2)] == [None, None]
    assert len(calls) == 2


def test_what_cannot_be_kept_is_made_each_time_and_warned_of_once(tmp_path, caplog):
    cache = LocalDiskCache(tmp_path, MB, 4)
    made = [object(), object()]
    with caplog.at_level(logging.WARNING):
        assert [cache.get(key, lambda: made[0]) for key in "aab"] == [made[0]] * 3
    assert [record.message for record in caplog.records] == [
        f"cache {tmp_path}: made each time, since it cannot be kept: a value to be cached holds a object"
    ]
    assert entries(tmp_path) == []


def test_errors_of_what_makes_a_value_reach_the_caller_and_nothing_is_kept(tmp_path):
    cache = LocalDiskCache(tmp_path, MB, 4)
    with pytest.raises(ZeroDivisionError):
        cache.get("key", lambda: 1 // 0)
    assert cache.get("key", lambda: "sound") == "sound"


def test_it_keeps_to_its_size_and_drops_the_oldest(tmp_path):
    cache = LocalDiskCache(tmp_path, MB, 10 * KB, shards=1)
    for number in range(100):
        cache.get(f"key{number}", lambda: np.zeros(50 * KB, np.uint8))
        assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= MB + 8
    assert len(entries(tmp_path)) >= 15
    cache.get("key99", never)
    assert cache.get("key0", lambda: "made again") == "made again"


def test_without_eviction_a_full_cache_stays_as_it_is(tmp_path):
    cache = LocalDiskCache(tmp_path, MB, MB, eviction_policy="none")  # for which few need not fit
    for number in range(30):
        cache.get(f"key{number}", lambda: np.zeros(100 * KB, np.uint8))
    assert len(entries(tmp_path)) == 10
    again = LocalDiskCache(tmp_path, MB, MB, eviction_policy="none")
    again.get("key0", never)
    assert again.get("key29", lambda: "made again") == "made again"


@pytest.mark.parametrize("damage", ["cut", "flip", "longer", "empty", "folder"])
def test_a_damaged_entry_is_made_again(tmp_path, damage):
    cache = LocalDiskCache(tmp_path, MB, 4)
    cache.get("key", lambda: np.arange(1000))
    [path] = entries(tmp_path)
    raw = bytearray(path.read_bytes())
    if damage == "flip":
        raw[len(raw) // 2] ^= 4
    raw = {"cut": raw[:-1], "flip": raw, "longer": raw + b"x", "empty": b""}.get(damage, b"")
    path.write_bytes(raw)
    if damage == "folder":
        path.unlink()
        path.mkdir()
    assert cache.get("key", lambda: "again") == "again"
    assert cache.get("key", lambda: "thrice") == ("again" if damage != "folder" else "thrice")


def test_an_entry_that_says_something_else_is_made_again(tmp_path, caplog):
    cache = LocalDiskCache(tmp_path, MB, 4)
    for content in (b"", b"x" * 16, bytes(15) + b"\xff", b"\x04" + bytes(15) + b"nul!", b"\x02" + bytes(15) + b"{}"):
        cache._cache.keep(hashlib.sha256(b"key").digest(), [memoryview(content)])
        with caplog.at_level(logging.WARNING):
            assert cache.get("key", lambda: "sound") == "sound"
    assert "an entry of another version" in caplog.text


def test_one_of_many_threads_makes_a_value(tmp_path):
    calls, cache, begin = [], LocalDiskCache(tmp_path, MB, 4), threading.Barrier(8)

    def fill():
        calls.append(1)
        time.sleep(0.1)
        return np.arange(1000)

    def get(_):
        begin.wait()
        return cache.get("key", fill).sum()

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(get, range(8))) == {499_500}
    assert len(calls) == 1


WRITER = """
import sys
import numpy as np
from loaders.petastorm.local_disk_cache import LocalDiskCache

cache = LocalDiskCache(sys.argv[1], 1 << 20, 1 << 10)
print("ready", flush=True)
number = 0
while True:
    number += 1
    found = cache.get(f"key{number % 40}", lambda: np.full(8192, number % 40))
    assert (found == number % 40).all() and len(found) == 8192, found
"""


def test_processes_share_it_and_may_be_killed_at_any_time(tmp_path):
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], cwd=REPOSITORY, stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    for round_ in range(4):
        for at, writer in enumerate(writers):
            assert writer.stdout.readline() == b"ready\n"
            time.sleep(0.1 + 0.05 * round_)
            assert writer.poll() is None  # no assertion of it failed
            writer.send_signal(signal.SIGKILL)
            writer.wait()
            writer.stdout.close()
            command = [sys.executable, "-c", WRITER, str(tmp_path)]
            if round_ < 3:
                writers[at] = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE)
    cache = LocalDiskCache(tmp_path, MB, KB)
    for number in range(40):
        assert (cache.get(f"key{number}", lambda number=number: np.full(8192, number)) == number).all()
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= MB + 8


def test_cleanup_deletes_its_own_files_alone_and_only_if_asked(tmp_path):
    path = tmp_path / "cache"
    kept = LocalDiskCache(path, MB, 4)
    kept.get("key", lambda: 1)
    kept.cleanup()
    assert len(entries(path)) == 1
    (path / "notes.txt").write_text("mine")
    cache = LocalDiskCache(path, MB, 4, cleanup=True)
    cache.cleanup()
    assert [file.name for file in path.iterdir()] == ["notes.txt"]
    (path / "notes.txt").unlink()
    cache.get("key", lambda: 1)
    cache.cleanup()
    cache.cleanup()
    assert not path.exists()


def test_a_cache_that_cannot_be_written_is_read_on_without(tmp_path, caplog):
    cache = LocalDiskCache(tmp_path / "cache", MB, 4, cleanup=True)
    cache.cleanup()
    assert [cache.get("key", lambda: 5) for _ in range(2)] == [5, 5]
    with pytest.raises(StorageError, match="cannot be used"):
        LocalDiskCache(__file__, MB, 4)
    if os.getuid():
        (tmp_path / "closed").mkdir(mode=0o500)
        with pytest.raises(StorageError, match="cannot be used"):
            LocalDiskCache(tmp_path / "closed", MB, 4)


def test_wrong_arguments_are_refused(tmp_path):
    with pytest.raises(ValueError, match="Condition 'size_limit_bytes / shards < 5 \\* expected_row_size_bytes'"):
        LocalDiskCache(tmp_path, 100, 1000)
    with pytest.raises(ValueError, match="Condition 'size_limit_bytes / shards <"):
        LocalDiskCache(tmp_path, 20_000, 1000)
    LocalDiskCache(tmp_path, 20_000, 1000, shards=2, sqlite_cache_size=1, cull_limit=3, size_limit=30_000)
    with pytest.raises(TypeError, match="unknown settings \\['evict_policy'\\]"):
        LocalDiskCache(tmp_path, MB, 4, evict_policy="none")
    with pytest.raises(TypeError):
        LocalDiskCache(tmp_path, None, None)
    with pytest.raises(TypeError, match="path must be the name of a folder"):
        LocalDiskCache(None, MB, 4)
