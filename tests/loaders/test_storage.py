"""Local files under the loader: exact reads, few handles, and no wait for what is no file."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from loaders.errors import CorruptionError, FormatError, StorageError
from loaders.stores.local import LocalFiles, local_folder
from loaders.stores.schemes import open_files
from loaders.stores.storage import StorageOptions
from tests.leftovers import descriptors

DATA = bytes(range(256)) * 40


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a").write_bytes(DATA)
    return tmp_path


def test_reads_are_scattered_into_parts_of_any_shape(folder: Path) -> None:
    parts = [bytearray(3), bytearray(0), bytearray(1000), bytearray(7)]
    files = LocalFiles(folder)
    files.read_into("a", 5, [memoryview(part) for part in parts])
    assert b"".join(parts) == DATA[5:1015]
    words = memoryview(bytearray(16)).cast("I")
    files.read_into("a", 8, [words])
    assert words.tobytes() == DATA[8:24]
    assert (files.read("a", 0, len(DATA)), files.read("a", 9, 0), files.size("a")) == (DATA, b"", len(DATA))
    files.close()


def test_more_parts_than_one_call_takes(folder: Path) -> None:
    parts = [bytearray(3) for _ in range(3000)]
    files = LocalFiles(folder)
    files.read_into("a", 1, [memoryview(part) for part in parts])
    assert b"".join(parts) == DATA[1:9001]
    files.close()


def test_short_reads_go_on_where_they_stopped(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def three_bytes(fd: int, parts: list[memoryview], at: int) -> int:
        return preadv(fd, [parts[0][:3]], at)

    preadv = os.preadv
    monkeypatch.setattr(os, "preadv", three_bytes)
    parts = [bytearray(10), bytearray(1), bytearray(20)]
    files = LocalFiles(folder)
    files.read_into("a", 2, [memoryview(part) for part in parts])
    assert b"".join(parts) == DATA[2:33]
    files.close()


def test_file_cut_while_it_is_open_is_named_with_both_sizes(folder: Path) -> None:
    files = LocalFiles(folder)
    assert files.size("a") == len(DATA)
    os.truncate(folder / "a", 100)
    with pytest.raises(CorruptionError, match=r"ends at byte 100, expected 200.*had 10,240 bytes.*now 100") as caught:
        files.read("a", 50, 150)
    assert caught.value.file == str(folder / "a")
    files.close()


@pytest.mark.timeout(10)
def test_what_is_no_file_is_refused_without_waiting(folder: Path) -> None:
    os.mkfifo(folder / "fifo")
    (folder / "sub").mkdir()
    (folder / "loop").symlink_to("loop")
    (folder / "device").symlink_to("/dev/zero")
    before = descriptors()
    files = LocalFiles(folder)
    for name in ("fifo", "sub", "device"):
        with pytest.raises(CorruptionError, match="is not a regular file"):
            files.size(name)
    with pytest.raises(StorageError, match="loop cannot be opened: Too many levels"):
        files.read("loop", 0, 1)
    with pytest.raises(FileNotFoundError):
        files.size("missing")
    assert descriptors() - before == set()


def test_handles_are_few_and_all_given_back(tmp_path: Path) -> None:
    for at in range(20):
        (tmp_path / str(at)).write_bytes(bytes([at]) * 100)
    before = descriptors()
    files = LocalFiles(tmp_path, kept_open=3)

    def read(at: int) -> bool:
        return files.read(str(at % 20), 10, 80) == bytes([at % 20]) * 80

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, range(2000)))
    assert len(descriptors() - before) == 3
    files.close()
    assert descriptors() - before == set()
    with pytest.raises(RuntimeError, match="are closed"):
        files.size("0")


def test_closing_waits_for_no_reader_and_takes_no_handle_from_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_reading, may_go_on = threading.Event(), threading.Event()

    def slow(fd: int, parts: list[memoryview], at: int) -> int:
        is_reading.set()
        assert may_go_on.wait(10)
        return preadv(fd, parts, at)

    preadv = os.preadv
    monkeypatch.setattr(os, "preadv", slow)
    before = descriptors()
    files = LocalFiles(folder)
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(files.read, "a", 0, 50)
        assert is_reading.wait(10)
        files.close()
        may_go_on.set()
        assert reading.result(10) == DATA[:50]
    assert descriptors() - before == set()


def test_urls_of_local_folders(tmp_path: Path) -> None:
    (tmp_path / "é x").mkdir()
    assert local_folder((tmp_path / "é x").as_uri()) == tmp_path / "é x"
    assert local_folder("a/b") == Path("a/b")
    assert local_folder("s3://a/b") is None
    with pytest.raises(FormatError, match="names the host"):
        local_folder("file://server/share")
    assert isinstance(open_files(tmp_path.as_uri()), LocalFiles)


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ({"deadline_s": 0}, "must be positive"),
        ({"deadline_s": float("nan")}, "must be positive"),
        ({"tries": 0}, "at least 1"),
        ({"part_bytes": 100}, "64 KiB"),
        ({"cache_bytes": 0}, "positive"),
        ({"options": {"secret_key": "xyz"}}, "environment"),
    ],
)
def test_options_are_checked(wrong: dict[str, object], what: str) -> None:
    with pytest.raises(FormatError, match=what) as caught:
        StorageOptions(**wrong)  # type: ignore[arg-type]
    assert "xyz" not in str(caught.value)
