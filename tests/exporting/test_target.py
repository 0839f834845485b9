"""A place is ours or refused, finished or not: nothing in between looks whole, and the next run goes on."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from lakehouse import target
from lakehouse.errors import ConfigError
from lakehouse.exporting import step
from loaders.errors import AlreadyPublishedError, CorruptionError, StorageError
from loaders.stores.schemes import open_storage
from tests.exporting.conftest import LABELS, OF_LABELS, SQL
from tests.exporting.test_export import files_of
from tests.ingestion.files import png
from tests.lanes import examples
from tests.loaders.s3 import Fault, serving

REPOSITORY = Path(__file__).resolve().parents[2]
SMALL = 2 * len(png(1))
"""Bytes of a shard: the seven pictures make four."""

KILLED = """
import os, signal, sys
from loaders.stores.local import LocalFiles
from tests.making import small_lake
from pathlib import Path
from tests.exporting.conftest import SQL

lake, to, format, at, small = sys.argv[1:]
left = int(at)

def dying(method):
    def call(storage, *args, **kwargs):
        global left
        left -= storage.root.endswith(".exporting")
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return method(storage, *args, **kwargs)
    return call

for name in ("put", "put_if_absent", "publish", "delete"):
    setattr(LocalFiles, name, dying(getattr(LocalFiles, name)))
import lakehouse.exporting.folders as folders
folders.FILES = 2
with small_lake(Path(lake)) as opened:
    opened.export(SQL, format=format, to=to, shard_bytes=int(small))
"""


def killed(lake, to, format, *, at):
    """Export in another process, which is killed at its `at`-th writing to the place; return its exit code."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(lake.root), str(to), format, str(at), str(SMALL)],
        cwd=REPOSITORY, capture_output=True, check=False,
    )  # fmt: skip
    return done.returncode


@pytest.mark.parametrize("format", ["imagefolder", "webdataset"])
def test_an_export_that_is_killed_anywhere_is_not_there_and_the_next_run_completes_it(pictures, tmp_path, format):
    pictures.export(SQL, format=format, to=tmp_path / "whole", shard_bytes=SMALL)
    kills = 0
    while True:
        to = tmp_path / f"{format}-{kills}"
        code = killed(pictures, to, format, at=kills)
        if code == 0:
            break
        assert code == -signal.SIGKILL
        assert not to.exists()
        pictures.export(SQL, format=format, to=to, shard_bytes=SMALL)
        assert files_of(to) == files_of(tmp_path / "whole")
        assert not to.with_name(f"{to.name}.exporting").exists()
        kills += examples(2, long=1)
    assert kills >= 6


def test_what_an_earlier_run_has_written_is_not_written_again(pictures, tmp_path):
    assert killed(pictures, tmp_path / "out", "webdataset", at=3) == -signal.SIGKILL
    again = pictures.export(SQL, format="webdataset", to=tmp_path / "out", shard_bytes=SMALL)
    all_bytes = sum(path.stat().st_size for path in (tmp_path / "out").glob("*.tar"))
    assert 0 < again.bytes_written < all_bytes


def test_an_export_that_fails_goes_on_when_the_cause_is_gone(pictures, tmp_path, monkeypatch):
    read = step.read_by
    monkeypatch.setattr(step, "read_by", lambda root, place, judges: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        pictures.export(SQL, format="imagefolder", to=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    monkeypatch.setattr(step, "read_by", read)
    assert pictures.export(SQL, format="imagefolder", to=tmp_path / "out").counts["exported"] == len(LABELS)


def test_an_unfinished_export_is_not_mixed_with_another(pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(target.Target, "finish", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        pictures.export(SQL, format="webdataset", to=tmp_path / "out")
    monkeypatch.undo()
    with pytest.raises(AlreadyPublishedError, match=r"out.exporting holds another export .* that was not finished"):
        pictures.export("animals", format="webdataset", to=tmp_path / "out")


def test_a_finished_export_is_not_changed_by_another(pictures, tmp_path):
    pictures.export(SQL, format="manifest", to=tmp_path / "out")
    before = files_of(tmp_path / "out")
    with pytest.raises(AlreadyPublishedError, match=r"holds another export \(manifest .*\); what is exported never"):
        pictures.export("animals", format="manifest", to=tmp_path / "out")
    assert files_of(tmp_path / "out") == before


@pytest.mark.parametrize("damage", ["lose", "add", "cut"])
def test_an_export_that_lost_or_got_files_is_told(pictures, tmp_path, damage):
    pictures.export(SQL, format="imagefolder", to=tmp_path / "out")
    path = next((tmp_path / "out").glob("*/*.png"))
    if damage == "lose":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(b"")
    else:
        (tmp_path / "out" / "cat" / "mine.png").write_bytes(b"mine")
    with pytest.raises(CorruptionError, match=r"holds \d+ files of \d+ bytes, expected 6 of"):
        pictures.export(SQL, format="imagefolder", to=tmp_path / "out")


@pytest.mark.parametrize("name", ["cat/mine.png", "notes.txt", ".DS_Store"])
def test_a_folder_with_other_things_is_refused_and_left_alone(pictures, tmp_path, name):
    path = tmp_path / "out" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(b"mine")
    with pytest.raises(ConfigError, match="it holds other things"):
        pictures.export(SQL, format="imagefolder", to=tmp_path / "out")
    assert files_of(tmp_path / "out") == {name: b"mine"}
    staging = tmp_path / "new.exporting"
    staging.mkdir()
    (staging / "mine").write_bytes(b"mine")
    with pytest.raises(ConfigError, match=r"new.exporting: it holds other things \(mine\)"):
        pictures.export(SQL, format="imagefolder", to=tmp_path / "new")
    assert (staging / "mine").read_bytes() == b"mine"


def test_an_empty_folder_is_taken_and_a_file_is_not(pictures, tmp_path):
    (tmp_path / "empty").mkdir()
    assert pictures.export(SQL, format="manifest", to=tmp_path / "empty").counts["exported"] == 7
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigError, match="cannot export to .*file"):
        pictures.export(SQL, format="manifest", to=tmp_path / "file")


def test_nothing_is_exported_into_the_lake_or_around_it(pictures, tmp_path):
    (tmp_path / "link").symlink_to(pictures.root)
    for place in (pictures.root, pictures.root / "datasets" / "out", tmp_path, tmp_path / "link" / "out"):
        with pytest.raises(ConfigError, match=r"the lake .* is there; give a place outside it|holds other things"):
            pictures.export(SQL, format="manifest", to=place)
    assert not (pictures.root / "datasets" / "out").exists()


def in_storage(url, options=None):
    storage = open_storage(url, options)
    try:
        return {each.name: storage.read_whole(each.name) for each in storage.list()}
    finally:
        storage.close()


@pytest.mark.parametrize("format", OF_LABELS)
def test_a_bucket_gets_the_files_that_a_folder_gets(pictures, tmp_path, format):
    pictures.export(SQL, format=format, to=tmp_path / "out", shard_bytes=SMALL)
    url = f"memory://{tmp_path.name}/{format}/out"
    first = pictures.export(SQL, format=format, to=url, shard_bytes=SMALL)
    assert in_storage(url) == files_of(tmp_path / "out")
    again = pictures.export(SQL, format=format, to=url, shard_bytes=SMALL)
    assert (again.bytes_written, again.counts) == (0, first.counts)
    with pytest.raises(AlreadyPublishedError):
        pictures.export("animals", format=format, to=url)


def test_a_prefix_says_that_it_is_not_finished_until_it_is(pictures, tmp_path, monkeypatch):
    url = f"memory://{tmp_path.name}/out"
    monkeypatch.setattr(target.Target, "finish", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        pictures.export(SQL, format="webdataset", to=url, shard_bytes=SMALL)
    monkeypatch.undo()
    assert "_export.json" not in in_storage(url)
    assert json.loads(in_storage(url)["_exporting.json"])["query"] == SQL
    pictures.export(SQL, format="webdataset", to=url, shard_bytes=SMALL)
    assert "_exporting.json" not in in_storage(url)
    assert "_export.json" in in_storage(url)


def test_a_prefix_with_other_things_is_refused(pictures, tmp_path):
    url = f"memory://{tmp_path.name}/out"
    open_storage(url).put("mine.txt", b"mine")
    with pytest.raises(ConfigError, match=r"holds other things \(mine.txt\)"):
        pictures.export(SQL, format="manifest", to=url)
    assert in_storage(url) == {"mine.txt": b"mine"}


def test_a_server_that_fails_now_and_then_gets_everything_and_one_that_is_down_nothing_finished(pictures, tmp_path):
    with serving(tmp_path / "served") as store:
        (tmp_path / "served" / "bucket").mkdir(parents=True)
        options = store.options(deadline_s=5)
        store.faults += [Fault("503", 2, "PUT"), Fault("503", 1, "GET")]
        pictures.export(SQL, format="webdataset", to="s3://bucket/out", shard_bytes=SMALL, options=options)
        found = in_storage("s3://bucket/out", options)
        shards = [name for name in found if name.endswith(".tar")]
        seen = {entry.name for name in shards for entry in tarfile.open(fileobj=io.BytesIO(found[name]))}
        assert (len(shards), len(seen)) == (4, 14)
        store.faults.append(Fault("403", 100, "PUT", "data-00002"))
        with pytest.raises(StorageError, match="s3://bucket/two"):
            pictures.export(SQL, format="webdataset", to="s3://bucket/two", shard_bytes=SMALL, options=options)
        assert "_export.json" not in in_storage("s3://bucket/two", options)


def test_a_receipt_names_no_password(pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(step, "open_target", lambda *_, **__: None)
    receipt = pictures.export(SQL, format="manifest", to="https://user:secret@host/out?token=secret")
    assert receipt.details["to"] == "https://host/out"
    assert "secret" not in "".join(path.read_text() for path in pictures.runs.glob("*export*"))
    assert os.listdir(tmp_path) == ["lake"]
