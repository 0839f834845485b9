"""The disk cache: what comes out is what went in or nothing, within its bound, whoever dies or fills the disk."""

from __future__ import annotations

import errno
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import obstore
import pytest
from obstore.store import MemoryStore

import loaders.stores.disk_cache
from loaders.errors import StorageError
from loaders.stores.disk_cache import CachedFiles, DiskCache
from loaders.stores.local import LocalFiles
from loaders.stores.schemes import open_files
from loaders.stores.storage import StorageOptions, forget
from tests.lanes import BUSY_S
from tests.loaders.s3 import serving

REPOSITORY = Path(__file__).parents[2]
DATA = os.urandom(300_000)


class Counting(LocalFiles):
    """Local files that play remote ones and count what is read."""

    is_local = False

    def __init__(self, folder: Path, pause_s: float = 0.0) -> None:
        super().__init__(folder)
        self.reads: list[tuple[str, int]] = []
        self.pause_s = pause_s

    def read_into(self, name: str, start: int, parts: Sequence[memoryview]) -> None:
        self.reads.append((name, start))
        time.sleep(self.pause_s)
        super().read_into(name, start, parts)

    @property
    def ranges(self) -> int:
        return sum(not name.startswith("_") for name, _ in self.reads)


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    folder = tmp_path / "origin"
    folder.mkdir()
    (folder / "a").write_bytes(DATA)
    (folder / "_manifest.json").write_text("one")
    return folder


def cached(origin: Path, cache: Path, limit: int = 1 << 30, **settings: float) -> tuple[CachedFiles, Counting]:
    files = Counting(origin, **settings)
    return CachedFiles(files, DiskCache(cache, limit)), files


def entries(cache: Path) -> list[Path]:
    return sorted(cache.glob("*.range"))


def used(cache: Path) -> int:
    return sum(path.stat().st_size for path in cache.iterdir() if path.name != "_ledger")


def test_a_range_is_fetched_once_and_survives_the_process(origin: Path, tmp_path: Path) -> None:
    for expected in (2, 0):
        files, counting = cached(origin, tmp_path / "cache")
        for _ in range(3):
            parts = [bytearray(1000), bytearray(0), bytearray(50_000)]
            files.read_into("a", 7, [memoryview(part) for part in parts])
            assert b"".join(parts) == DATA[7:51_007]
            assert files.read("a", 8, 100) == DATA[8:108]
        assert (files.size("a"), counting.ranges) == (len(DATA), expected)
        files.close()


def test_other_data_is_never_served(origin: Path, tmp_path: Path) -> None:
    files, _ = cached(origin, tmp_path / "cache")
    files.read("a", 0, 100)
    files.close()
    (origin / "a").write_bytes(b"x" * 1000)
    (origin / "_manifest.json").write_text("two")
    files, _ = cached(origin, tmp_path / "cache")
    assert files.read("a", 0, 100) == b"x" * 100
    # An entry under the name of another is no entry either.
    one, two = entries(tmp_path / "cache")
    kept = {path: path.read_bytes() for path in (one, two)}
    one.write_bytes(kept[two])
    two.write_bytes(kept[one])
    assert files.read("a", 0, 100) == b"x" * 100
    files.close()


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "longer", "zeros"])
def test_a_damaged_entry_is_dropped_and_fetched_again(origin: Path, tmp_path: Path, damage: str) -> None:
    files, counting = cached(origin, tmp_path / "cache")
    files.read("a", 0, 5000)
    (entry,) = entries(tmp_path / "cache")
    whole = entry.read_bytes()
    half = len(whole) // 2
    entry.write_bytes({
        "flip": whole[:half] + bytes([whole[half] ^ 1]) + whole[half + 1 :],
        "cut": whole[:half],
        "empty": b"",
        "longer": whole + b"x",
        "zeros": bytes(len(whole)),
    }[damage])  # fmt: skip
    assert files.read("a", 0, 5000) == DATA[:5000]
    assert counting.ranges == 2
    assert entries(tmp_path / "cache")[0].read_bytes() == whole
    files.close()


def test_every_flipped_bit_of_an_entry_is_noticed(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, 1 << 20)
    key, data, found = b"k" * 32, bytearray(DATA[:100]), bytearray(100)
    for bit in [*range(52 * 8), *range(64 * 8, 164 * 8, 16)]:  # the last 12 bytes of the header are spare
        cache.keep(key, [memoryview(data)])
        (entry,) = entries(tmp_path)
        whole = bytearray(entry.read_bytes())
        whole[bit // 8] ^= 1 << bit % 8
        entry.write_bytes(whole)
        assert not cache.read_into(key, [memoryview(found)])
        assert not entries(tmp_path)


def test_wrong_bytes_are_forgotten(origin: Path, tmp_path: Path) -> None:
    files, counting = cached(origin, tmp_path / "cache")
    files.read("a", 0, 10)
    assert forget(files, "a", 0, 10)
    files.read("a", 0, 10)
    assert counting.ranges == 2
    assert not forget(LocalFiles(origin), "a", 0, 10)
    files.close()


def test_the_least_recently_used_make_room(origin: Path, tmp_path: Path) -> None:
    limit = 10 * 10_064
    files, counting = cached(origin, tmp_path / "cache", limit)
    known: set[Path] = set()
    for at in range(10):
        files.read("a", at * 10_000, 10_000)
        (new,) = {*entries(tmp_path / "cache")} - known
        os.utime(new, ns=(at, at))  # a clock of files ticks only every few milliseconds
        known.add(new)
    assert used(tmp_path / "cache") == limit
    files.read("a", 0, 10_000)  # used just now
    for at in range(10, 13):
        files.read("a", at * 10_000, 10_000)
        assert used(tmp_path / "cache") <= limit
    before = counting.ranges
    for at in (0, 12):
        files.read("a", at * 10_000, 10_000)
    assert counting.ranges == before
    files.read("a", 10_000, 10_000)
    assert counting.ranges == before + 1
    for at in range(13, 29):
        files.read("a", at * 10_000, 10_000)
        assert used(tmp_path / "cache") <= limit
    files.close()


def test_an_entry_larger_than_the_cache_is_not_kept(origin: Path, tmp_path: Path) -> None:
    files, _ = cached(origin, tmp_path / "cache", 1000)
    assert files.read("a", 0, 1000) == DATA[:1000]
    assert not entries(tmp_path / "cache")
    files.close()


def test_the_bound_holds_without_the_ledger(origin: Path, tmp_path: Path) -> None:
    files, _ = cached(origin, tmp_path / "cache", 50_000)
    for at in range(4):
        files.read("a", at * 10_000, 10_000)
        (tmp_path / "cache" / "_ledger").unlink()
    for at in range(4, 8):
        files.read("a", at * 10_000, 10_000)
        assert used(tmp_path / "cache") <= 50_000
    files.close()


def test_threads_that_want_one_range_fetch_it_once(origin: Path, tmp_path: Path) -> None:
    files, counting = cached(origin, tmp_path / "cache", pause_s=0.1)
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: files.read("a", 5, 1000), range(8))) == {DATA[5:1005]}
    assert counting.ranges == 1
    files.close()


def test_processes_share_one_cache_within_its_bound(origin: Path, tmp_path: Path) -> None:
    code = f"""
import random, sys
from pathlib import Path
from loaders.stores.disk_cache import CachedFiles, DiskCache
from loaders.stores.local import LocalFiles
data = Path({str(origin / "a")!r}).read_bytes()
files = CachedFiles(LocalFiles({str(origin)!r}), DiskCache({str(tmp_path / "cache")!r}, 60_000))
generator = random.Random(int(sys.argv[1]))
for _ in range(400):
    start = generator.randrange(25) * 10_000
    assert files.read("a", start, 10_000) == data[start : start + 10_000]
"""
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(at)], cwd=REPOSITORY) for at in range(4)
    ]
    assert [process.wait(60) for process in running] == [0] * 4
    assert used(tmp_path / "cache") <= 60_000
    assert not list((tmp_path / "cache").glob(".tmp-*"))


def test_an_owner_that_dies_or_stops_blocks_nobody(
    origin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = f"""
import time
from loaders.stores.disk_cache import DiskCache
cache = DiskCache({str(tmp_path / "cache")!r}, 1 << 20)
cache._reserve(5000)
with cache.fetching({b"k" * 32!r}):
    print("holds", flush=True)
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code], cwd=REPOSITORY, stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"holds\n"
        owner.send_signal(signal.SIGSTOP)
        cache = DiskCache(tmp_path / "cache", 1 << 20)
        monkeypatch.setattr(loaders.stores.disk_cache, "_FETCH_PATIENCE_S", 0.2)
        began = time.monotonic()
        with cache.fetching(b"k" * 32):
            assert 0.2 <= time.monotonic() - began < 2 + BUSY_S
        (half,) = (tmp_path / "cache").glob(".tmp-*")
        cache._evict(0)
        assert half.exists()  # its owner may go on
        owner.kill()
        owner.wait()
    monkeypatch.setattr(loaders.stores.disk_cache, "_FETCH_PATIENCE_S", 30.0)
    began = time.monotonic()
    with cache.fetching(b"k" * 32):
        assert time.monotonic() - began < 2 + BUSY_S
    cache._evict(1 << 20)
    assert not half.exists()


def test_writers_killed_at_any_moment_leave_nothing_wrong(origin: Path, tmp_path: Path) -> None:
    code = f"""
from loaders.stores.disk_cache import CachedFiles, DiskCache
from loaders.stores.local import LocalFiles
files = CachedFiles(LocalFiles({str(origin)!r}), DiskCache({str(tmp_path / "cache")!r}, 1_000_000))
print("up", flush=True)
while True:
    for start in range(100):
        files.read("a", start, 200_000)
"""
    for at in range(5):
        with subprocess.Popen([sys.executable, "-c", code], cwd=REPOSITORY, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(0.01 + 0.007 * at)
            writer.kill()
    files, _ = cached(origin, tmp_path / "cache", 1_000_000)
    for start in range(100):
        assert files.read("a", start, 200_000) == DATA[start : start + 200_000]
        assert used(tmp_path / "cache") <= 1_000_000
    assert not list((tmp_path / "cache").glob(".tmp-*"))
    files.close()


def test_a_full_disk_costs_one_warning(
    origin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(fd: int, data: memoryview, at: int) -> int:
        if len(data) > 8:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return pwrite(fd, data, at)

    pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", full)
    files, _ = cached(origin, tmp_path / "cache")
    with caplog.at_level(logging.WARNING):
        for at in range(5):
            assert files.read("a", at, 1000) == DATA[at : at + 1000]
    assert [record.getMessage() for record in caplog.records] == [
        f"cache {tmp_path / 'cache'}: writing failed: [Errno 28] No space left on device; reads go on without it"
    ]
    assert used(tmp_path / "cache") == 0
    files.close()


def test_a_cache_folder_that_goes_away_is_no_error(origin: Path, tmp_path: Path) -> None:
    files, _ = cached(origin, tmp_path / "cache")
    files.read("a", 0, 10)
    for path in (tmp_path / "cache").iterdir():
        path.unlink()
    (tmp_path / "cache").rmdir()
    assert files.read("a", 0, 10) == DATA[:10]
    files.close()


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cache folder .*file cannot be used"):
        DiskCache(tmp_path / "file", 1000)


def test_urls_are_cached_where_a_folder_is_named(origin: Path, tmp_path: Path) -> None:
    obstore.put(MemoryStore(), "x", b"")  # its three handles stay to the end of the process
    before = set(os.listdir("/proc/self/fd"))
    with serving(tmp_path) as store:
        for _ in range(2):
            files = open_files("s3://origin", store.options(cache_folder=tmp_path / "cache"))
            assert isinstance(files, CachedFiles)
            assert files.read("a", 3, 50_000) == DATA[3:50_003]
            files.close()
    assert sum(request == "GET /origin/a" for request in store.requests) == 1
    assert isinstance(open_files(origin, StorageOptions(cache_folder=tmp_path / "cache")), LocalFiles)
    time.sleep(0.05)
    assert len(set(os.listdir("/proc/self/fd")) - before) <= 1
