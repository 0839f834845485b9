"""Locks in a bucket: one holder at a time, nobody delayed longer than a lease by one who died, nothing after a loss."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lakehouse.config import StoreConfig
from lakehouse.errors import ConcurrentWriteError, ConfigError
from lakehouse.home import Home
from lakehouse.tables import leases
from lakehouse.tables.leases import Lease, check_store, conditional_problem, lease, release_lease
from loaders.errors import StorageError
from loaders.stores.storage import Content, Storage
from tests.buckets.server import Bucket

SHORT_S = 0.6


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(f"memory://{tmp_path.name}/lake", tmp_path)


def left_behind(home: Home, *, lease_s: float) -> None:
    """What a holder leaves who was killed."""
    home.files.put("_locks/silver.things.json", Lease("gone", "process 1 on far", 7, lease_s).to_bytes())


def test_one_holds_it_and_the_next_comes_at_once_with_a_higher_number(home):
    fences = []
    for _ in range(3):
        with lease(home, "a", timeout_s=1, lease_s=30) as held:
            held.check()
            fences.append(held.fence)
    assert fences == [1, 2, 3]
    assert leases.leases(home.files) == []


def test_who_waits_too_long_is_told_who_holds_it(home):
    expected = r"a: another writer \(process \d+ on .+\) held it for 0.3 s; wait for it.* see `petrel locks` .*_locks/a"
    with lease(home, "a", timeout_s=1, lease_s=30):
        with pytest.raises(ConcurrentWriteError, match=expected), lease(home, "a", timeout_s=0.3, lease_s=30):
            pytest.fail("two hold it")
        (found,) = leases.leases(home.files)
        assert (found[0], found[1].fence, found[2] < 2) == ("a", 1, True)


@pytest.mark.parametrize("server", ["memory", "s3"])
def test_of_many_threads_one_at_a_time_holds_it(server, home, tmp_path, request, monkeypatch):
    if server == "s3":
        bucket: Bucket = request.getfixturevalue("bucket")
        for name, value in bucket.environment().items():
            monkeypatch.setenv(name, value)
        home = Home(f"{bucket.url}/lake", tmp_path)
    inside: list[int] = []
    most: list[int] = []

    def work(number: int) -> int:
        with lease(home, "a", timeout_s=60, lease_s=30) as held:
            inside.append(number)
            most.append(len(inside))
            time.sleep(0.01)
            inside.remove(number)
            return held.fence

    with ThreadPoolExecutor(6) as threads:
        fences = list(threads.map(work, range(18)))
    assert max(most) == 1
    assert sorted(fences) == list(range(1, 19))


def test_a_holder_that_was_killed_delays_others_by_its_lease_and_no_longer(home):
    left_behind(home, lease_s=SHORT_S)
    began = time.monotonic()
    with lease(home, "silver.things", timeout_s=30, lease_s=30) as held:
        waited_s = time.monotonic() - began
        assert held.fence == 8
    assert SHORT_S * 0.9 < waited_s < SHORT_S + leases.POLL_S[1] + 10


def test_a_lock_left_behind_long_ago_delays_nobody(home, monkeypatch):
    left_behind(home, lease_s=3600)
    monkeypatch.setattr(leases, "_now", lambda files: time.time() + 3700)
    with lease(home, "silver.things", timeout_s=1, lease_s=30) as held:
        assert held.fence == 8


def test_a_lease_is_renewed_as_long_as_it_is_held(home):
    with lease(home, "a", timeout_s=1, lease_s=3) as held:
        with pytest.raises(ConcurrentWriteError), lease(home, "a", timeout_s=4, lease_s=30):
            pytest.fail("taken from a living holder")
        held.check()


def test_what_was_taken_over_cannot_commit(home):
    with lease(home, "silver.things", timeout_s=1, lease_s=SHORT_S) as held:
        assert (release_lease(home.files, "silver.things") or Lease("", "", 0, 0)).fence == 1
        with lease(home, "silver.things", timeout_s=1, lease_s=30) as other:
            time.sleep(SHORT_S)  # the first one's next renewal finds out
            assert other.fence == 2
            other.check()
            with pytest.raises(ConcurrentWriteError, match=r"silver.things: the lock was lost \(somebody took it over"):
                held.check()
        assert release_lease(home.files, "silver.things") is None


def test_a_holder_that_cannot_renew_stops_before_its_lease_ends(home, monkeypatch):
    with lease(home, "a", timeout_s=1, lease_s=SHORT_S) as held:

        def unreachable(*_: object) -> str:
            raise StorageError("away")

        monkeypatch.setattr(home.files, "put_if_same", unreachable)
        time.sleep(SHORT_S)
        with pytest.raises(ConcurrentWriteError, match="could not be renewed for"):
            held.check()


def test_a_holder_that_was_held_up_asks_the_store_before_it_gives_up(home, monkeypatch):
    with lease(home, "a", timeout_s=1, lease_s=30) as held:
        monkeypatch.setattr(held, "_renewed_at", time.monotonic() - 31)
        held.check()
        home.files.put("_locks/a.json", Lease("other", "process 2", 2, 30).to_bytes())
        monkeypatch.setattr(held, "_renewed_at", time.monotonic() - 31)
        with pytest.raises(ConcurrentWriteError, match="somebody took it over"):
            held.check()


def test_a_store_without_conditions_is_refused_by_name_unless_one_writes_alone(home, monkeypatch):
    assert conditional_problem(home.files) == ""
    monkeypatch.setattr(type(home.files), "put_if_absent", Storage.put_if_absent)
    with pytest.raises(ConfigError, match=r"store of memory://.* knows no conditional writes .*single_writer = true"):
        check_store(home)
    check_store(Home(home.address, home.folder, (StoreConfig("memory://", single_writer=True),)))


def test_a_store_that_writes_over_what_should_be_absent_is_found_out(home, monkeypatch):
    def overwrite(files: Storage, name: str, content: Content) -> None:
        files.put(name, content)

    monkeypatch.setattr(type(home.files), "put_if_absent", overwrite)
    assert conditional_problem(home.files) == "it wrote over a file that was to be absent"


def test_a_lock_that_cannot_be_read_is_taken_from_nobody_before_its_time(home, monkeypatch):
    home.files.put("_locks/a.json", b"<html>")
    with pytest.raises(ConcurrentWriteError, match="somebody unknown"), lease(home, "a", timeout_s=0.3, lease_s=30):
        pytest.fail("it may be held")
    monkeypatch.setattr(leases, "UNREADABLE_S", SHORT_S)
    with lease(home, "a", timeout_s=30, lease_s=30) as held:
        assert held.fence == 1
