"""Ranges over a network that fails in every way: the right bytes or a named error, in time, and nothing left behind."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import obstore
import pyarrow.fs
import pytest
from obstore.store import MemoryStore, S3Store

from loaders import ReadOptions, Shuffle, make_reader
from loaders.errors import CorruptionError, DeadlineError, FormatError, StorageError
from loaders.format.manifest import read_dataset, read_manifest
from loaders.stores.remote import RemoteFiles
from loaders.stores.saying import without_secrets
from loaders.stores.schemes import open_files, open_storage
from loaders.stores.storage import Files, StorageOptions
from tests.lanes import BUSY_S
from tests.loaders.s3 import Fault, Kind, Store, serving

DATA = os.urandom(1 << 20)
PART = 1 << 18
SECRET = "canary-9f2e"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    (tmp_path / "bucket" / "train").mkdir(parents=True)
    (tmp_path / "bucket" / "train" / "a").write_bytes(DATA)
    (tmp_path / "bucket" / "train" / "é +").write_bytes(b"odd name")
    (tmp_path / "bucket" / "train" / "empty").write_bytes(b"")
    with serving(tmp_path) as store:
        yield store


@pytest.fixture(autouse=True)
def _nothing_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    _others.clear()
    _others.update(threading.enumerate())  # readers that other tests of this process have forgotten are not ours
    obstore.put(MemoryStore(), "x", b"")  # its threads, and three handles, stay to the end of the process
    # pyarrow keeps the connections of its S3 client to the end of the process.
    handles = len(os.listdir("/proc/self/fd")) + (20 if "pyarrow" in request.node.name else 0)
    yield
    until = time.monotonic() + 5
    while time.monotonic() < until:
        if not fetching() and len(os.listdir("/proc/self/fd")) <= handles:
            return
        time.sleep(0.01)
    pytest.fail(f"left behind: {fetching()}, {len(os.listdir('/proc/self/fd')) - handles} handles")


_others: set[threading.Thread] = set()


def fetching() -> list[str]:
    ours = set(threading.enumerate()) - _others
    return [thread.name for thread in ours if thread.name in ("petrel-fetch", "petrel-call")]


def opened(store: Store, **settings: object) -> RemoteFiles:
    files = open_storage("s3://bucket/train", store.options(part_bytes=PART, **settings))
    assert isinstance(files, RemoteFiles)
    return files


def check_reads(files: Files) -> None:
    parts = [bytearray(100), bytearray(PART + 1), bytearray(0), bytearray(3 * PART - 200)]
    files.read_into("a", 7, [memoryview(part) for part in parts])
    assert b"".join(parts) == DATA[7 : 7 + 4 * PART - 99]
    assert files.size("a") == len(DATA)
    assert files.read("a", len(DATA) - 9, 9) == DATA[-9:]
    assert files.read("a", 5, 0) == b""
    with pytest.raises(FileNotFoundError, match="missing"):
        files.size("missing")
    with pytest.raises(FileNotFoundError, match="missing"):
        files.read("missing", 0, 1)
    with pytest.raises(CorruptionError, match=r"/a ends at byte 1,048,576, expected 1,048,577"):
        files.read("a", len(DATA) - 9, 10)
    with pytest.raises(CorruptionError, match="/a"):
        files.read("a", len(DATA) + 10, 10)


def test_ranges_are_read_in_parts(store: Store) -> None:
    files = opened(store)
    assert (files.root, files.is_local) == ("s3://bucket/train", False)
    check_reads(files)
    assert (files.read("é +", 0, 8), files.size("empty")) == (b"odd name", 0)
    files.close()
    with pytest.raises(RuntimeError, match="closed"):
        files.size("a")


def test_every_kind_of_address_gives_the_same(store: Store, tmp_path: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    memory.pipe("/kept/train/a", DATA)
    for url, options in [
        (f"http://127.0.0.1:{store.port}/bucket/train/", {}),
        ("/kept/train", {"filesystem": memory}),
        (f"{tmp_path}/bucket/train", {"filesystem": pyarrow.fs.LocalFileSystem()}),
    ]:
        files = open_files(url, StorageOptions(part_bytes=PART, tries=1, **options))  # type: ignore[arg-type]
        assert isinstance(files, RemoteFiles)
        check_reads(files)
        files.close()
    memory.rm("/kept", recursive=True)


def test_a_store_of_obstore_is_taken_and_the_s3_client_of_pyarrow_is_refused(store: Store) -> None:
    where = {"scheme": "http", "endpoint_override": f"127.0.0.1:{store.port}"}
    client = pyarrow.fs.S3FileSystem(region="us-east-1", anonymous=True, **where)
    files = open_files("s3://bucket/train", StorageOptions(filesystem=client, part_bytes=PART))
    assert files.size("a") == len(DATA)
    with pytest.raises(StorageError, match="gives bytes that were never sent when an answer is shorter"):
        files.read("a", 7, 3 * PART)
    files.close()
    made = S3Store("bucket", endpoint=f"http://127.0.0.1:{store.port}", skip_signature=True,
                   client_options={"allow_http": True})  # fmt: skip
    files = open_files("s3://bucket/train", StorageOptions(filesystem=made, part_bytes=PART))
    store.faults.append(Fault("short", times=2))
    assert files.read("a", 7, 3 * PART) == DATA[7 : 7 + 3 * PART]
    files.close()


def test_a_connection_is_used_again_and_one_that_the_server_closed_is_no_failure(store: Store) -> None:
    with closing(opened(store, parallel=1)) as files:
        for at in range(20):
            files.read("a", at, 10)
        assert store.connections < 5  # a request may come before the last one has given its connection back
        store.hang_up()
        assert files.read("a", 0, 10) == DATA[:10]


@pytest.mark.parametrize("kind", ["503", "429", "500", "cut", "short", "reset"])
def test_what_may_pass_is_tried_again(store: Store, kind: Kind) -> None:
    store.faults.append(Fault(kind, times=3, method="GET"))
    store.faults.append(Fault("503", times=1, method="HEAD"))
    files = opened(store)
    assert files.size("a") == len(DATA)
    assert files.read("a", 0, 2 * PART) == DATA[: 2 * PART]
    assert files.counts.retries >= 3 - (kind == "reset")
    files.close()


@pytest.mark.parametrize("kind", ["503", "429", "cut", "short", "reset"])
def test_what_never_passes_is_an_error_after_the_last_try(store: Store, kind: Kind) -> None:
    store.faults.append(Fault(kind, times=100))
    files = opened(store, tries=2)
    with pytest.raises(StorageError, match=r"bytes 5 to 905 of s3://bucket/train/a did not come in 2 tries; the last"):
        files.read("a", 5, 900)
    assert len(store.requests) <= 4
    files.close()


@pytest.mark.parametrize("kind", ["403", "404", "416"])
def test_what_will_not_pass_is_not_tried_again(store: Store, kind: Kind) -> None:
    store.faults.append(Fault(kind))
    files = opened(store)
    expected = {"403": StorageError, "404": FileNotFoundError, "416": CorruptionError}[kind]
    with pytest.raises(expected, match="s3://bucket/train/a"):
        files.read("a", 0, 10)
    assert len(store.requests) == 1
    files.close()


@pytest.mark.parametrize("kind", ["dead", "drip"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_server_that_hangs_is_an_error_at_the_deadline(store: Store, kind: Kind, method: str) -> None:
    store.faults.append(Fault(kind, times=1000, method=method))
    files = opened(store, deadline_s=1.0, hedge_after_s=0.2, tries=4)
    if (kind, method) == ("drip", "HEAD"):
        assert files.size("a") == len(DATA)  # an answer without a body cannot drip
    else:
        began = time.monotonic()
        with pytest.raises(DeadlineError, match=r"/a did not come within 1 s \([0-9]+ requests sent"):
            files.size("a") if method == "HEAD" else files.read("a", 0, len(DATA))
        assert 0.9 < time.monotonic() - began < 2.0 + BUSY_S
    files.close()
    assert not fetching()  # their connections were shut, though the server goes on


def test_nobody_listens(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refused
        store = Store(tmp_path, port=taken.getsockname()[1])
        files = opened(store, tries=3)
        with pytest.raises(StorageError, match="3 tries; the last error: Connection refused"):
            files.read("a", 0, 10)
        files.close()


def test_a_host_that_takes_connections_and_never_answers(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=100) as silent:
        files = opened(Store(tmp_path, port=silent.getsockname()[1]), deadline_s=0.8)
        began = time.monotonic()
        with pytest.raises(DeadlineError, match="did not come within 0.8 s"):
            files.size("a")
        assert time.monotonic() - began < 1.8 + BUSY_S
        files.close()


def test_one_slow_request_is_overtaken_by_a_second(store: Store) -> None:
    store.faults.append(Fault("dead", times=1, method="GET"))
    files = opened(store, hedge_after_s=0.1, deadline_s=20)
    began = time.monotonic()
    assert files.read("a", 0, PART) == DATA[:PART]
    assert time.monotonic() - began < 3.0 + BUSY_S
    assert files.counts.hedges == 1
    assert files.counts.retries == 0
    files.close()


class Slow:
    """A file system whose calls hang while it is told so, as those of a client that cannot be given up."""

    def __init__(self) -> None:
        self.may_end, self.hangs, self.late = threading.Event(), True, threading.Event()

    def cat_file(self, path: str, start: int, end: int) -> bytes:
        if self.hangs:
            self.may_end.wait(30)
            self.late.set()
        return b"y" * (end - start)


def test_an_answer_that_comes_too_late_changes_nothing() -> None:
    given, slow = bytearray(10), Slow()
    files = open_storage("x", StorageOptions(filesystem=slow, deadline_s=0.2))
    with pytest.raises(DeadlineError):
        files.read_into("a", 0, [memoryview(given)])
    slow.may_end.set()
    assert slow.late.wait(5)
    files.close()
    assert given == bytes(10)


def test_threads_lost_in_a_storage_are_replaced_and_bounded() -> None:
    slow = Slow()
    files = open_storage("x", StorageOptions(filesystem=slow, deadline_s=0.05, parallel=2, hedge_after_s=9))
    for _ in range(6):
        with pytest.raises(DeadlineError):
            files.read("a", 0, 10)
    slow.hangs = False
    assert files.read("a", 0, 3) == b"yyy"
    slow.hangs = True
    for _ in range(5):
        with pytest.raises(DeadlineError):
            files.read("a", 0, 10)
    assert sum(thread.name == "petrel-call" for thread in threading.enumerate()) == 8
    slow.may_end.set()
    slow.hangs = False
    assert files.read("a", 0, 3) == b"yyy"
    files.close()


def test_many_readers_share_few_connections(store: Store) -> None:
    store.latency_s = 0.005
    store.faults += [Fault("503", times=10), Fault("cut", times=10), Fault("reset", times=5)]
    files = opened(store, parallel=4)

    def read(at: int) -> bool:
        start = at * 997
        return files.read("a", start, 200_000) == DATA[start : start + 200_000]

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(read, range(200)))
        assert len(fetching()) == 1
    assert store.connections <= 4 + 25 + files.counts.hedges
    files.close()


def test_reads_that_wait_behind_others_do_not_fail(store: Store) -> None:
    store.latency_s = 0.2
    files = opened(store, parallel=1, deadline_s=0.9)
    with ThreadPoolExecutor(12) as pool:
        assert all(data == DATA[:9] for data in pool.map(lambda _: files.read("a", 0, 9), range(12)))
    files.close()


def test_a_server_without_ranges_is_named(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.loaders.s3._RANGE", SimpleNamespace(fullmatch=lambda text: None))
    files = opened(store)
    with pytest.raises(StorageError, match="does not serve ranges"):
        files.read("a", 0, 10)
    assert len(store.requests) == 1
    files.close()


def test_closing_ends_reads_under_way_and_waiting(store: Store) -> None:
    store.faults.append(Fault("dead", times=100))
    files = opened(store, parallel=1)
    with ThreadPoolExecutor(3) as pool:
        reading = [pool.submit(files.read, "a", 0, 9) for _ in range(3)]
        while not store.requests or not files._slots.locked():
            time.sleep(0.005)
        began = time.monotonic()
        files.close()
        for one in reading:
            with pytest.raises(RuntimeError, match="closed"):
                one.result(5)
        assert time.monotonic() - began < 2 + BUSY_S


def test_readers_get_the_same_rows_from_a_store_that_fails(published: Path, tmp_path: Path) -> None:
    def rows(url: str, storage: StorageOptions) -> list[object]:
        options = ReadOptions(storage=storage, tail="ragged")
        with make_reader(url, batch_size=7, columns=["entity_id"], shuffle=Shuffle(seed=3), options=options) as reader:
            return [name for batch in reader for name in batch["entity_id"]]

    expected = rows(str(published / "train"), StorageOptions())
    with serving(published.parent) as store:
        url = f"s3://{published.name}/train"
        for storage in (store.options(), store.options(cache_folder=tmp_path), store.options(cache_folder=tmp_path)):
            store.faults[:] = [Fault("503"), Fault("cut", path=".parquet"), Fault("reset")]
            assert rows(url, storage) == expected
        store.faults[:] = [Fault("403", times=99, path=".parquet")]
        with pytest.raises(StorageError, match="403"):
            rows(url, store.options())
        store.faults[:] = [Fault("dead", times=99, path=".parquet")]
        began = time.monotonic()
        with pytest.raises(DeadlineError, match="did not come within 0.7 s"):
            rows(url, store.options(deadline_s=0.7))
        assert time.monotonic() - began < 2.7 + BUSY_S


def test_a_process_ends_while_a_server_drips(store: Store) -> None:
    store.faults.append(Fault("drip", times=100, method="GET"))
    code = f"""
import threading, time
from loaders.stores.schemes import open_storage
from loaders.stores.storage import StorageOptions
options = StorageOptions(options=dict(endpoint_override="127.0.0.1:{store.port}", scheme="http", anonymous=True))
files = open_storage("s3://bucket/train", options)
threading.Thread(target=files.read, args=("a", 0, 100000), daemon=True).start()
time.sleep(0.3)
"""
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", code], check=True, timeout=20, cwd=Path(__file__).parents[2])
    assert time.monotonic() - began < 10


def test_no_message_holds_a_secret(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", SECRET)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", SECRET)
    keys = {"scheme": "http", "endpoint_override": f"127.0.0.1:{store.port}"}
    signed = f"http://user:{SECRET}@127.0.0.1:{store.port}/bucket/train?X-Amz-Signature={SECRET}"
    for url, options in [("s3://bucket/train", keys), (signed, {})]:
        for kind in ("403", "503", "404", "short", "dead"):
            store.faults[:] = [Fault(kind, times=10)]  # type: ignore[arg-type]
            files = open_storage(url, StorageOptions(tries=2, deadline_s=0.5, options=options))
            with pytest.raises(OSError, match="bucket/train/a") as caught:
                files.read("a", 0, 10)
            assert SECRET not in str(caught.value) + files.root
            assert caught.value.__cause__ is None
            files.close()
    assert without_secrets(f"GET https://u:{SECRET}@h/p?sig={SECRET} failed, aws_secret_key={SECRET}.") == (
        "GET https://h/p failed, aws_secret_key=..."
    )


@pytest.mark.parametrize("url", ["nosuch://bucket/x", "s3://", "s3://bucket/x?region=eu", "s3://a:b@bucket/x"])
def test_addresses_that_nothing_opens(url: str) -> None:
    pytest.importorskip("fsspec")
    with pytest.raises(FormatError):
        open_files(url, StorageOptions(options={"anonymous": True} if url.startswith("s3") else {}))


def test_manifests_are_read_through_any_files(published: Path) -> None:
    with serving(published.parent) as store:
        url, options = f"s3://{published.name}", store.options()
        files = open_files(f"{url}/train", options)
        assert read_manifest(files) == read_manifest(published / "train") == read_manifest(str(published / "train"))
        files.close()
        files = open_files(url, options)
        assert read_dataset(files) == read_dataset(published)
        with pytest.raises(FormatError, match=r"holds a whole dataset version; .* s3://.*/train"):
            read_manifest(files)
        files.close()
        files = open_files(f"{url}/none", options)
        with pytest.raises(FormatError, match="is no published dataset: _manifest.json is missing"):
            read_manifest(files)
        files.close()
