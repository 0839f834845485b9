"""The class archive: used where it fits, never in the way."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from lakehouse.cache import cache_root, remove_unused
from lakehouse.errors import EnvironmentProblemError
from lakehouse.spark import classarchive
from lakehouse.spark.classarchive import RECORD_VARIABLE, archive_options


def test_the_cache_is_named_by_petrel_else_by_xdg_else_in_the_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("PETREL_CACHE", raising=False)
    assert cache_root() == Path("/home/ada/.cache/petrel")

    monkeypatch.setenv("XDG_CACHE_HOME", "/big")
    assert cache_root() == Path("/big/petrel")

    monkeypatch.setenv("PETREL_CACHE", "/own")
    assert cache_root() == Path("/own")


def test_only_what_nobody_used_for_a_month_is_removed(tmp_path: Path) -> None:
    for name, days in (("old.zip", 31), ("used.zip", 29), ("old.txt", 31)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (0, time.time() - days * 86400))

    remove_unused(tmp_path, "*.zip")

    assert sorted(path.name for path in tmp_path.iterdir()) == ["old.txt", "used.zip"]


def test_without_an_archive_java_gets_no_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classarchive, "archive_path", lambda jars: tmp_path / "none.jsa")

    assert archive_options([]) == []


def test_an_archive_is_named_to_java_and_marked_as_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.jsa"
    path.touch()
    os.utime(path, (0, 0))
    monkeypatch.setattr(classarchive, "archive_path", lambda jars: path)

    assert archive_options([])[0] == f'-XX:SharedArchiveFile="{path}"'
    assert time.time() - path.stat().st_mtime < 3600


def test_the_recording_run_writes_an_archive_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RECORD_VARIABLE, "/scratch/classes.jsa")

    assert archive_options([])[0] == '-XX:ArchiveClassesAtExit="/scratch/classes.jsa"'


def test_a_recording_that_failed_leaves_nothing_and_says_what_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classarchive, "jar_paths", lambda: ())
    monkeypatch.setattr(classarchive, "archive_path", lambda jars: tmp_path / "classes" / "a.jsa")
    monkeypatch.setattr(classarchive, "RECORDING", "raise SystemExit('no memory')")

    with pytest.raises(EnvironmentProblemError, match=r"no memory; .* run: python -m lakehouse.spark.classarchive"):
        classarchive.make_archive()

    assert list((tmp_path / "classes").iterdir()) == []
