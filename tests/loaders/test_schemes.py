"""One protocol for all storages: each does the same to the same calls, and a new scheme is one file and one line."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from loaders import ReadOptions, make_reader
from loaders.errors import ChangedFileError, FormatError, StorageError
from loaders.stores import schemes
from loaders.stores.local import LocalFiles
from loaders.stores.schemes import open_files, open_storage
from loaders.stores.storage import Storage, StorageOptions
from tests.loaders import toy_storage
from tests.loaders.s3 import Fault, Store, serving

ROOT = Path(__file__).parents[2]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    (tmp_path / "s3" / "bucket").mkdir(parents=True)
    with serving(tmp_path / "s3") as store:
        yield store


@pytest.fixture(params=["local", "memory", "s3", "toy"])
def storage(
    request: pytest.FixtureRequest, tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Storage]:
    monkeypatch.setitem(schemes.SCHEMES, "toy", "tests.loaders.toy_storage:open_toy")
    urls = {"local": str(tmp_path / "lake"), "memory": f"memory://{tmp_path.name}/x", "s3": "s3://bucket/lake",
            "toy": f"toy://{tmp_path.name}"}  # fmt: skip
    made = open_storage(urls[request.param], store.options() if request.param == "s3" else None)
    yield made
    made.close()


def test_what_is_put_is_read_listed_copied_and_deleted(storage: Storage, tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"from a file")
    storage.put("a/one", b"1")
    storage.put("a/two words é", bytearray(b"22"))
    storage.put("b/file", tmp_path / "big")
    storage.put("a/one", memoryview(b"new"))
    assert storage.read_whole("a/one") == b"new"
    assert (storage.read("b/file", 5, 6), storage.size("b/file")) == (b"a file", 11)
    assert [(each.name, each.size) for each in storage.list("a")] == [("a/one", 3), ("a/two words é", 2)]
    assert [each.name for each in storage.list()] == ["a/one", "a/two words é", "b/file"]
    assert list(storage.list("none")) == []
    storage.copy("b/file", "c/copy")
    assert storage.read_whole("c/copy") == b"from a file"
    storage.delete("b/file")
    storage.delete("b/file")
    with pytest.raises(FileNotFoundError, match="b/file"):
        storage.stat("b/file")
    with pytest.raises(FileNotFoundError, match="b/file"):
        storage.copy("b/file", "c/x")
    assert storage.stat("c/copy").version != ""


def test_of_several_writers_of_a_new_file_one_wins(storage: Storage) -> None:
    def put(at: int) -> bool:
        try:
            storage.put_if_absent("lock", str(at).encode())
        except FileExistsError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(put, range(8)))
    assert won.count(True) == 1
    with pytest.raises(FileExistsError, match="lock is there already"):
        storage.put_if_absent("lock", b"late")
    assert storage.read_whole("lock") == str(won.index(True)).encode()


def test_a_listing_goes_on_behind_a_name(storage: Storage) -> None:
    for name in ("a/1", "a/2", "a/3", "b/1"):
        storage.put(name, b"x")
    assert [each.name for each in storage.list("a", after="a/1")] == ["a/2", "a/3"]
    assert [each.name for each in storage.list(after="a/3")] == ["b/1"]
    assert list(storage.list("a", after="a/3")) == []


def test_a_listing_of_many_pages_is_asked_for_page_by_page(store: Store) -> None:
    folder = store.folder / "bucket" / "many"
    folder.mkdir()
    for number in range(2001):
        (folder / f"{number:04}").touch()
    storage = open_storage("s3://bucket", store.options())
    assert [each.name for each in storage.list("many")] == [f"many/{number:04}" for number in range(2001)]
    assert store.requests == ["GET /bucket"] * 3
    storage.close()


@pytest.mark.parametrize("scheme", ["memory", "s3"])
def test_one_version_is_replaced_and_no_other(scheme: str, store: Store, tmp_path: Path) -> None:
    url = {"memory": f"memory://{tmp_path.name}/y", "s3": "s3://bucket/lake"}[scheme]
    storage = open_storage(url, store.options() if scheme == "s3" else None)
    storage.put("lease", b"first")
    first = storage.stat("lease").version
    second = storage.put_if_same("lease", b"second..", first)
    assert second == storage.stat("lease").version != first
    with pytest.raises(ChangedFileError, match="lease is another version by now"):
        storage.put_if_same("lease", b"third", first)
    assert storage.read_whole("lease") == b"second.."
    storage.delete("lease")
    with pytest.raises(ChangedFileError):
        storage.put_if_same("lease", b"fourth", second)
    storage.close()


def test_a_replacement_whose_answer_is_lost_is_known_as_ours(store: Store) -> None:
    storage = open_storage("s3://bucket", store.options())
    storage.put("lease", b"first")
    store.faults.append(Fault("reset", times=1, method="PUT"))
    assert storage.put_if_same("lease", b"second..", storage.stat("lease").version) == storage.stat("lease").version
    assert storage.read_whole("lease") == b"second.."
    storage.close()


def test_a_write_whose_answer_is_lost_is_known_as_ours(store: Store) -> None:
    storage = open_storage("s3://bucket", store.options())
    store.faults.append(Fault("lost", times=1, method="PUT"))
    storage.put_if_absent("mine", b"owner 1")
    store.faults.append(Fault("503", times=2, method="PUT"))
    storage.put("other", b"x")
    store.faults.append(Fault("lost", times=1, method="PUT"))
    with pytest.raises(FileExistsError):
        storage.put_if_absent("mine", b"owner 2")
    storage.close()
    assert (store.folder / "bucket" / "mine").read_bytes() == b"owner 1"


def test_large_content_is_sent_in_parts_and_again_where_one_fails(store: Store, tmp_path: Path) -> None:
    data = os.urandom((11 << 20) + 7)
    (tmp_path / "big").write_bytes(data)
    storage = open_storage("s3://bucket", store.options())
    storage.put("memory", data)
    store.faults.append(Fault("503", times=2, method="PUT"))
    storage.put("file", tmp_path / "big")
    storage.close()
    assert (store.folder / "bucket" / "memory").read_bytes() == (store.folder / "bucket" / "file").read_bytes() == data
    assert len(store.parts) == 3


def test_a_local_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = LocalFiles(tmp_path)
    storage.put("a", b"old")

    def full(path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("loaders.stores.local.sync_file", full)
    with pytest.raises(StorageError, match="a cannot be written: No space left"):
        storage.put("a", b"new")
    assert (os.listdir(tmp_path), storage.read_whole("a")) == (["a"], b"old")


@pytest.mark.parametrize("url", ["s3a://bucket/x", "gs://bucket/x", "az://bucket/x", "abfss://bucket@me.dfs.core.net/x"])
def test_the_buckets_of_every_cloud_are_read_through_faults(store: Store, url: str) -> None:
    data = os.urandom(200_000)
    (store.folder / "bucket" / "x").mkdir()
    (store.folder / "bucket" / "x" / "a").write_bytes(data)
    where: dict[str, object] = {"endpoint_override": f"http://127.0.0.1:{store.port}", "anonymous": True}
    if url.startswith("az"):
        where["account_name"] = "me"
    storage = open_storage(url, StorageOptions(options=where))
    store.faults += [Fault("503"), Fault("short", method="GET"), Fault("cut", method="GET")]
    assert storage.size("a") == len(data)
    assert storage.read("a", 7, 150_000) == data[7:150_007]
    with pytest.raises(FileNotFoundError, match="/x/none"):
        storage.stat("none")
    storage.close()
    with pytest.raises(FormatError, match="unknown options for .*: ..colour"):
        open_storage(url, StorageOptions(options={"colour": "red"}))


def test_a_web_server_is_read_only(store: Store) -> None:
    storage = open_storage(f"http://127.0.0.1:{store.port}/bucket")
    calls: list[Callable[[], object]] = [lambda: storage.put("a", b""), lambda: storage.put_if_absent("a", b""),
                                         lambda: list(storage.list())]  # fmt: skip
    for call in calls:
        with pytest.raises(StorageError, match="a web server|is read-only"):
            call()
    storage.close()


def test_a_reader_reads_from_a_scheme_that_one_line_registers(
    published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rows(url: str) -> list[object]:
        options = ReadOptions(tail="ragged")
        with make_reader(url, batch_size=7, columns=["entity_id"], shuffle=None, options=options) as reader:
            return [name for batch in reader for name in batch["entity_id"]]

    toy = toy_storage.open_toy("toy://set", None)
    for each in LocalFiles(published).list():
        toy.put(each.name, published / each.name)
    with pytest.raises(FormatError, match="toy://set/train"):
        open_files("toy://set/train")
    point = EntryPoint("toy", "tests.loaders.toy_storage:open_toy", schemes.ENTRY_POINTS)
    monkeypatch.setattr(metadata, "entry_points", lambda group: [point] if group == schemes.ENTRY_POINTS else [])
    assert rows("toy://set/train") == rows(str(published / "train"))


def test_an_entry_point_that_does_not_load_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("toy", "no.such.module:open_toy", schemes.ENTRY_POINTS)
    monkeypatch.setattr(metadata, "entry_points", lambda group: [point])
    with pytest.raises(FormatError, match=r"toy = no.such.module:open_toy of petrel.storage cannot be loaded: Module"):
        open_files("toy://set")


def test_a_forked_child_is_told_to_be_spawned_and_a_spawned_one_reads(store: Store) -> None:
    (store.folder / "bucket" / "a").write_bytes(b"data")
    code = f"""
import multiprocessing, sys
from loaders.stores.schemes import open_storage
from loaders.stores.storage import StorageOptions
def read():
    options = StorageOptions(options=dict(endpoint_override="127.0.0.1:{store.port}", scheme="http", anonymous=True))
    try:
        storage = open_storage("s3://bucket", options)
        print(storage.read_whole("a"), flush=True)
        storage.close()
    except Exception as error:
        print(type(error).__name__, error, flush=True)
if __name__ == "__main__":
    print("own", flush=True)
    read()
    for kind in ("fork", "spawn"):
        print(kind, flush=True)
        child = multiprocessing.get_context(kind).Process(target=read)
        child.start()
        child.join(30)
        assert child.exitcode == 0, child.exitcode
"""
    script = store.folder / "forks.py"
    script.write_text(code)
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60, cwd=ROOT,
                          env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    own, value, fork, refused, spawn, again = done.stdout.splitlines()
    assert (own, fork, spawn, value, again) == ("own", "fork", "spawn", "b'data'", "b'data'")
    assert refused.startswith("StorageError s3://bucket cannot be read in this process: it was forked")


def test_importing_loaders_and_opening_a_folder_load_no_client(tmp_path: Path) -> None:
    code = f"""
import sys, loaders
from loaders.stores.schemes import open_storage
open_storage({str(tmp_path)!r}).put("a", b"")
assert not [name for name in sys.modules if name.split(".")[0] in ("obstore", "fsspec", "asyncio")]
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_processes_end_while_requests_are_under_way(store: Store) -> None:
    store.faults.append(Fault("dead", times=1000))
    before = set(threading.enumerate())
    code = f"""
import threading, time
from loaders.stores.schemes import open_storage
from loaders.stores.storage import StorageOptions
options = StorageOptions(options=dict(endpoint_override="127.0.0.1:{store.port}", scheme="http", anonymous=True))
storage = open_storage("s3://bucket", options)
for _ in range(8):
    threading.Thread(target=storage.stat, args=("a",), daemon=True).start()
time.sleep(0.2)
"""
    def run(_: int) -> tuple[int, str]:
        done = subprocess.run([sys.executable, "-c", code], timeout=30, cwd=ROOT, capture_output=True, text=True)
        return done.returncode, "\n".join(line for line in done.stderr.splitlines() if "atal" in line)

    with ThreadPoolExecutor(2) as pool:
        assert set(pool.map(run, range(6))) == {(0, "")}
    assert not [each for each in set(threading.enumerate()) - before if each.name == "petrel-fetch"]
