"""What killed runs leave behind goes away by itself, and nothing else does."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from lakehouse.leftovers import OLD_S
from lakehouse.tables.insert import insert_rows
from lakehouse.tables.read import table_path
from schemas.tables import RAW_RECORDS
from tests.making import small_lake

TEMPORARY = "f" * 32


def left(path: Path, *, age: float) -> Path:
    """A file that was written so many seconds ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("half")
    os.utime(path, (time.time() - age,) * 2)
    return path


def leave(root: Path, *, age: float) -> list[Path]:
    folder = table_path(root, RAW_RECORDS)
    files = ["_runs/fresh/land-1.json." + TEMPORARY + ".tmp", "_runs/20260101-land-1.json." + TEMPORARY + ".tmp"]
    files.append("_runs/verified/0123456789abcdef/published-1.notes." + TEMPORARY + ".tmp")
    found = [left(root / each, age=age) for each in files]
    found += [left(folder / "_delta_log" / f"{2:020}.json#1", age=age), left(folder / "part-0.parquet#1", age=age)]
    for name, content in (("empty", None), ("unlocked", "alive.new")):
        scratch = root / "_tmp" / name
        scratch.mkdir()
        if content:
            left(scratch / content, age=age)
        os.utime(scratch, (time.time() - age,) * 2)
        found.append(scratch)
    return found


def write(lake) -> None:
    row = {"record_id": "1", "source": "s", "origin": "o", "ordinal": 1, "kind": "sidecar", "payload": "{}"}
    insert_rows(lake, RAW_RECORDS, [row], step="test")


def test_old_leftovers_are_swept_by_the_next_writer(tmp_path):
    with small_lake(tmp_path / "lake") as lake:
        paths = leave(lake.root, age=OLD_S + 60)
    with small_lake(tmp_path / "lake") as lake:
        write(lake)
    assert [path for path in paths if path.exists()] == []


def test_what_another_process_may_be_writing_now_stays(tmp_path):
    with small_lake(tmp_path / "lake") as lake:
        paths = leave(lake.root, age=OLD_S / 2)
    with small_lake(tmp_path / "lake") as lake:
        write(lake)
    assert [path for path in paths if not path.exists()] == []


@pytest.mark.parametrize("name", ["_runs/notes.tmp", "_runs/fresh/a.json", "_tmp/mine/work.txt"])
def test_what_no_killed_run_of_ours_leaves_stays_however_old_it_is(tmp_path, name):
    with small_lake(tmp_path / "lake") as lake:
        path = left(lake.root / name, age=OLD_S * 99)
        os.utime(path.parent, (0, 0))
    with small_lake(tmp_path / "lake") as lake:
        write(lake)
    assert path.exists()
