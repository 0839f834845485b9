"""Listing a folder: what is landed, what is refused unread, and names that come back byte for byte."""

from __future__ import annotations

import os
import socket
import subprocess
import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.errors import IngestError
from lakehouse.ingestion.sources.listing import list_folder, plain_path
from lakehouse.ingestion.sources.source import Source
from lakehouse.objects import uri_path


def listed(folder, **options):
    return list(list_folder(Source(name="s", folder=str(folder), **options)))


def write(folder, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def test_files_come_sorted_by_bytes_and_folders_are_searched(tmp_path):
    write(tmp_path, "b/é.png", "b/z.png", "B.png", "a.png", "a/b/c/d.png")
    assert [each.path for each in listed(tmp_path)] == ["B.png", "a/b/c/d.png", "a.png", "b/z.png", "b/é.png"]


def test_a_file_is_described_by_uri_path_name_size_and_time(tmp_path):
    write(tmp_path, "sub/50% ä.png")
    os.utime(tmp_path / "sub" / "50% ä.png", ns=(0, 1_700_000_000_123_456_789))
    (found,) = listed(tmp_path)
    assert uri_path(found.uri) == os.fsencode(tmp_path / "sub" / "50% ä.png")
    assert (found.path, found.name, found.size_bytes) == ("sub/50%25 ä.png", "50% ä.png", 14)
    assert found.mtime_at.isoformat() == "2023-11-14T22:13:20.123456+00:00"
    assert (found.rule, found.reason) == (None, None)


def test_an_empty_folder_has_nothing(tmp_path):
    assert listed(tmp_path) == []


def test_a_missing_folder_is_an_error_that_names_source_and_folder(tmp_path):
    with pytest.raises(IngestError, match=r"source s: no folder .*/nowhere"):
        listed(tmp_path / "nowhere")
    write(tmp_path, "file")
    with pytest.raises(IngestError, match="source s: no folder"):
        listed(tmp_path / "file")


def test_hidden_files_and_folders_are_left_out(tmp_path):
    write(tmp_path, ".hidden.png", ".git/x.png", "a/.b/c.png", "a/seen.png")
    assert [each.path for each in listed(tmp_path)] == ["a/seen.png"]


def test_patterns_hold_for_names_and_for_paths(tmp_path):
    write(tmp_path, "x.png", "x.jpg", "thumbs/y.png", "a/thumbs/z.png", "X.PNG")
    assert [e.path for e in listed(tmp_path, include=("*.png",))] == ["a/thumbs/z.png", "thumbs/y.png", "x.png"]
    assert [e.path for e in listed(tmp_path, include=("*.png",), exclude=("thumbs/*", "*/thumbs/*"))] == ["x.png"]
    assert [e.path for e in listed(tmp_path, include=("thumbs/*",))] == ["thumbs/y.png"]


def test_files_that_say_something_about_others_are_not_landed_by_default(tmp_path):
    write(tmp_path, "a.png", "a.png.json", "labels.csv", "README.md", "LICENSE", "notes.txt", "voc/a.xml")
    assert [each.path for each in listed(tmp_path)] == ["a.png"]


def test_the_sidecar_itself_is_never_landed(tmp_path):
    write(tmp_path, "a.png", "facts/meta.csv")
    assert [e.path for e in listed(tmp_path, exclude=(), sidecar="facts/meta.csv")] == ["a.png"]
    write(tmp_path, "a.png.json")
    assert [e.path for e in listed(tmp_path, exclude=("*.csv",), sidecar="per_file")] == ["a.png"]


@pytest.mark.timeout(20)
def test_links_pipes_and_sockets_are_reported_and_never_followed(tmp_path):
    folder = tmp_path / "drop"
    write(folder, "good.png")
    write(tmp_path, "outside/secret.png")
    (folder / "link.png").symlink_to(tmp_path / "outside" / "secret.png")
    (folder / "dangling.png").symlink_to("nowhere")
    (folder / "loop").symlink_to(folder)
    os.mkfifo(folder / "pipe.png")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "s.sock"))
        found = {each.path: each for each in listed(folder)}
    assert {path: each.rule for path, each in found.items()} == {
        "good.png": None, "link.png": "symlink", "dangling.png": "symlink", "loop": "symlink",
        "pipe.png": "not_a_regular_file", "s.sock": "not_a_regular_file",
    }
    assert "FIFO" in found["pipe.png"].reason
    assert "socket" in found["s.sock"].reason
    assert all(each.mtime_at is None and each.size_bytes == 0 for each in found.values() if each.rule)


ODD = [b"\xff\xfe.png", b"new\nline.png", "nfd e\u0301.png".encode(), "nfc é.png".encode(), b"100%.png", b"%2e%2e%2fx",
       "\u202egnp.exe".encode(), "😀.png".encode(), b"quote'\".png", b"back\\slash.png", b" lead and trail ", b"CON",
       b"x" * 255, b"tab\t.png", b"\x7f.png"]


def test_odd_names_come_back_byte_for_byte(tmp_path):
    for name in ODD:
        with open(os.path.join(os.fsencode(tmp_path), name), "wb") as file:
            file.write(name)
    found = listed(tmp_path)
    assert sorted(urllib.parse.unquote_to_bytes(each.path) for each in found) == sorted(ODD)
    assert sorted(os.path.basename(uri_path(each.uri)) for each in found) == sorted(ODD)
    assert all(each.path.isprintable() or "\u202e" in each.path for each in found)


@given(st.binary(min_size=1, max_size=30).filter(lambda name: b"\0" not in name))
def test_any_path_reads_back_from_its_text(name):
    text = plain_path(name)
    assert urllib.parse.unquote_to_bytes(text) == name
    text.encode("utf-8")


def test_a_very_deep_folder_is_no_problem(tmp_path):
    current = os.getcwd()
    try:
        os.chdir(tmp_path)
        for _ in range(1200):
            os.mkdir("d")
            os.chdir("d")
        with open("deep.png", "wb") as file:
            file.write(b"x")
    finally:
        os.chdir(current)
    try:
        (found,) = listed(tmp_path)
    finally:
        subprocess.run(["rm", "-rf", tmp_path / "d"], check=True)  # shutil.rmtree does not come that deep
    assert found.name == "deep.png"
    assert found.path.count("/") == 1200


@pytest.mark.parametrize("seconds", [-5_000_000_000, 2**31, 10**12])
def test_a_time_of_modification_from_any_age_stops_nobody(tmp_path, seconds):
    write(tmp_path, "a.png")
    try:
        os.utime(tmp_path / "a.png", (0, seconds))
    except (OSError, OverflowError):
        pytest.skip("this file system does not keep such a time")
    (found,) = listed(tmp_path)
    assert found.rule is None
    assert found.mtime_at is None or found.mtime_at.year < 9999


def test_the_lake_inside_the_folder_is_not_landed(tmp_path):
    write(tmp_path, "a.png", "lake/objects/aa/x", "lake2/b.png")
    source = Source(name="s", folder=str(tmp_path))
    assert [each.path for each in list_folder(source, leave_out=tmp_path / "lake")] == ["a.png", "lake2/b.png"]
