"""A second run over 100,000 files that are as they were: how many of them are opened, and what does it cost?

    python -m benchmarks.unchanged                 # 100,000 files
    python -m benchmarks.unchanged --files 10000

Files are landed once; then `land` runs again, again without its note of the last run, and `watch` looks once. Opens are
counted by an audit hook of Python in the process that does the work: none may be of a file of the source. Beside them
stands what listing costs alone: every name, with its size and time.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from lakehouse.config import load_config
from lakehouse.ingestion.land import land
from lakehouse.ingestion.sources.source import Source
from lakehouse.ingestion.watch import watch
from lakehouse.lake import Lake
from lakehouse.opening import open_lake

FOLDERS = 100
opened: list[str] = []


def main() -> int:
    """Run as a program; exit code 1 if a second run opens a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=100_000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "drop"
        _fill(folder, args.files)
        _count_opens(f"{folder}/")
        source = Source(name="photos", folder=str(folder))
        config = load_config(overrides=[f'lake.root="{place}/lake"', "engine.workers=1"], environ={})
        with open_lake(config, create=True) as lake:
            _measured("land, the first time", args.files, lambda: land(lake, source).counts)
            opened.clear()
            _measured("a walk with stat alone", args.files, lambda: {"seen": _walk(folder)})
            _measured("land again", args.files, lambda: land(lake, source).counts)
            _forget(lake)
            _measured("land again, without its note", args.files, lambda: land(lake, source).counts)
            _measured("watch --available-now", args.files, lambda: list(watch(lake, source))[-1].counts)
    return 1 if opened else 0


def _fill(folder: Path, files: int) -> None:
    for number in range(FOLDERS):
        (folder / f"{number:02}").mkdir(parents=True)
    for number in range(files):
        path = folder / f"{number % FOLDERS:02}" / f"{number:06}.bin"
        path.write_bytes(b"%d" % number)
        os.utime(path, (1_700_000_000, 1_700_000_000))


def _count_opens(below: str) -> None:
    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open" and isinstance(arguments[0], str | bytes) and os.fsdecode(arguments[0]).startswith(below):
            opened.append(os.fsdecode(arguments[0]))

    sys.addaudithook(hook)


def _walk(folder: Path) -> int:
    return sum(1 for parent, _, names in os.walk(folder) for name in names if os.lstat(os.path.join(parent, name)))


def _forget(lake: Lake) -> None:
    for note in (lake.runs / "fresh").iterdir():
        note.unlink()


def _measured(what: str, files: int, work: Callable[[], object]) -> None:
    before, began = _cpu_seconds(), time.monotonic()
    counts = work()
    cpu = _cpu_seconds() - before
    figures = {
        "what": what, "files": files, "opens": len(opened), "cpu_seconds": round(cpu, 2),
        "seconds": round(time.monotonic() - began, 2), "counts": counts,
    }  # fmt: skip
    sys.stdout.write(json.dumps(figures, default=dict) + "\n")
    sys.stdout.flush()


def _cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


if __name__ == "__main__":
    sys.exit(main())
