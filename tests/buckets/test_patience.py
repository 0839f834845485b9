"""What a client of a bucket believes, and how long it waits once it has given a store up."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator

import pytest

from loaders.errors import StorageError
from loaders.stores.buckets import open_s3
from loaders.stores.remote import RemoteFiles
from loaders.stores.storage import Stat, StorageOptions
from tests.buckets.faults import Fault
from tests.lanes import BUSY_S


@pytest.fixture
def files(shaky, monkeypatch) -> Iterator[RemoteFiles]:
    for name, value in shaky.environment().items():
        monkeypatch.setenv(name, value)
    opened = open_s3(f"{shaky.url}/folder", StorageOptions(deadline_s=6, tries=3))
    yield opened
    opened.close()


@pytest.mark.parametrize("kind", ["html", "short", "cut"])
def test_bytes_of_another_than_the_store_are_asked_for_again(files, proxy, kind):
    files.put("a", b"the bytes of a lock")
    assert files.read_whole("a") == b"the bytes of a lock"
    for read in (files.read_whole, lambda name: files.read_told(name)[0]):
        with proxy.injecting(Fault(kind, times=2, method="GET", path="/a")):
            assert read("a") == b"the bytes of a lock"
    assert proxy.struck()[kind] == 4


def test_a_list_that_is_cut_is_asked_for_again(files, proxy):
    files.put("a", b"1")
    for kind in ("cut", "short", "html"):
        with proxy.injecting(Fault(kind, method="GET")):
            assert [each.name for each in files.list()] == ["a"]


def test_etags_that_are_no_hashes_are_believed_at_the_second_answer():
    class Sealed:
        """A store that encrypts what it keeps: its etags have the form of hashes and are none."""

        root, is_read_only, asked = "s3://sealed", True, 0

        async def get(self, name: str, most: int) -> tuple[memoryview, Stat]:
            self.asked += 1
            return memoryview(b"bytes"), Stat(name, 5, f'"{hashlib.md5(b"other").hexdigest()}"')

        def close(self) -> None:
            pass

    source = Sealed()
    files = RemoteFiles(source, StorageOptions())  # type: ignore[arg-type]
    assert (files.read_whole("a"), source.asked) == (b"bytes", 2)
    assert (files.read_whole("a"), source.asked) == (b"bytes", 3)
    files.close()


def test_after_a_request_was_given_up_the_next_ones_do_not_wait_until_one_is_answered(files, proxy):
    files.put("a", b"1")
    with proxy.injecting(Fault("503", times=5, path="/a")):
        with pytest.raises(StorageError, match=r"s3://.*/a did not come in 3 tries; .*503"):
            files.stat("a")
        with pytest.raises(StorageError, match="in 1 tries"):
            files.stat("a")
        with pytest.raises(StorageError, match="in 1 tries"):
            files.stat("a")
        assert files.stat("a").size == 1
    with proxy.injecting(Fault("503", times=2, path="/a")):
        assert files.stat("a").size == 1
    with proxy.injecting(Fault("dead", times=99, path="/a")):
        with pytest.raises(OSError, match="did not come"):
            files.stat("a")
        began = time.monotonic()
        with pytest.raises(OSError, match="did not come within 2 s"):
            files.stat("a")
        assert time.monotonic() - began < 3 + BUSY_S


def test_a_file_that_is_sent_in_parts_is_sent_once_however_long_it_takes(shaky, proxy, monkeypatch):
    for name, value in shaky.environment().items():
        monkeypatch.setenv(name, value)
    files = open_s3(f"{shaky.url}/folder", StorageOptions(hedge_after_s=0.05))
    proxy.latency_s = 0.2
    files.put("large", b"x" * (6 << 20))
    begun = [each for each in proxy.asked("POST", "/large") if each.request.asked == "uploads="]
    assert len(begun) == 1
    assert files.counts.hedges == 0
    files.close()
