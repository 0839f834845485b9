"""What killed runs leave behind: temporary files that no living process can still be writing."""

from __future__ import annotations

import contextlib
import os
import re
import time
from pathlib import Path

OLD_S = 3600.0
"""Older ones are nobody's: each is written and renamed within seconds."""

_RUNS = re.compile(r".+\.[0-9a-f]{32}\.tmp")
_TABLES = re.compile(r"(.+\.json|.+\.parquet)#\d+")
"""As delta-rs names what it is about to rename."""


def sweep_runs(runs: Path) -> None:
    """Remove old temporary files of receipts and notes, those of every machine."""
    for folder in (runs, runs / "fresh", *runs.glob("verified/*")):
        _sweep(folder, _RUNS)


def sweep_table(folder: Path) -> None:
    """Remove old temporary files of a table and of its log."""
    for each in (folder, folder / "_delta_log"):
        _sweep(each, _TABLES)


def sweep_scratch(folder: Path) -> None:
    """Remove a folder of temporary files whose process was killed before it could put anything there."""
    with contextlib.suppress(OSError):
        if not _is_old(folder):
            return
        if os.listdir(folder) == ["alive.new"]:
            (folder / "alive.new").unlink()
        folder.rmdir()  # no other than an empty one


def _sweep(folder: Path, names: re.Pattern[str]) -> None:
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if names.fullmatch(entry.name):
                path = Path(entry.path)
                if _is_old(path):
                    path.unlink(missing_ok=True)


def _is_old(path: Path) -> bool:
    return time.time() - path.lstat().st_mtime > OLD_S
