"""What reading and exporting from a program costs: points, ranges, and every format beside a plain copy of the bytes.

    python -m benchmarks.access                                     # 400 objects of 2 MB
    python -m benchmarks.access --objects 20000 --size-kb 4         # many small ones
    python -m benchmarks.access --lake my_lake --entity 4f1c...     # points in a lake of yours

Figures are of a warm page cache; exports are durable (fsync), the copy is not.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

import lakehouse as lh
from lakehouse.exporting.step import FORMATS

SQL = "select entity_id, 'all' as label from entities"
EXPORT = """
import resource, sys, time
import lakehouse as lh
with lh.open_lake(lh.load_config(overrides=[f"lake.root={sys.argv[1]!r}"])) as lake:
    lake.export(sys.argv[2] + " limit 1", format=sys.argv[3], to=sys.argv[4] + ".first")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    lake.export(sys.argv[2], format=sys.argv[3], to=sys.argv[4])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(time.perf_counter() - started, (peak - before) / 1024)
"""
"""In a process of its own: what an export adds to the memory of one that has exported a single entity."""

Say = Callable[[str], object]


def make_lake(folder: Path, objects: int, size: int) -> Path:
    """Make a lake with so many objects of so many bytes."""
    random = np.random.default_rng(7)
    (folder / "drop").mkdir()
    for number in range(objects):
        (folder / "drop" / f"{number:06}.bin").write_bytes(b"\x00" + random.bytes(size - 1))
    with lh.open_lake(_config(folder / "lake"), create=True) as lake:
        lh.land(lake, lh.Source(name="drop", folder=str(folder / "drop")))
        lh.entities(lake)
    shutil.rmtree(folder / "drop")
    return folder / "lake"


def points(root: Path, entity_id: str | None, *, say: Say) -> None:
    """Time reads of one entity."""
    with lh.open_lake(_config(root)) as lake:
        found = entity_id or lake.read_table("silver.entities", columns=["entity_id"])["entity_id"][0].as_py()
        wanted = {"where": "entity_id = $id", "params": {"id": found}}

        def part() -> None:
            with lake.open_object(found, range=(0, 4096)) as file:
                file.read()

        say(_told("read_object", lambda: lake.read_object(found), 200))
        say(_told("open_object, 4 KB of it", part, 200))
        say(_told("read_table of its row", lambda: lake.read_table("silver.entities", **wanted), 20))


def exports(root: Path, folder: Path, *, say: Say) -> None:
    """Time a copy of all objects and an export in every format."""
    files = [path for path in (root / "objects").rglob("*") if path.is_file()]
    total = sum(path.stat().st_size for path in files)
    (folder / "copy").mkdir()
    started = time.perf_counter()
    for path in files:
        shutil.copyfile(path, folder / "copy" / path.name)
    copying = time.perf_counter() - started
    shutil.rmtree(folder / "copy")
    say(f"{len(files):,} objects, {total / 1e6:,.0f} MB; plain copy {total / 1e6 / copying:,.0f} MB/s")
    for name in FORMATS:
        to = folder / name
        command = [sys.executable, "-c", EXPORT, str(root), SQL, name, str(to)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        seconds, memory = map(float, done.stdout.split())
        say(f"{name:12} {seconds:6.2f} s  {total / 1e6 / seconds:7,.0f} MB/s  {memory:6,.0f} MB of memory more")
        for made in (to, Path(f"{to}.first")):
            shutil.rmtree(made)


def _told(what: str, work: Callable[[], object], times: int) -> str:
    work()
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        taken.append((time.perf_counter() - started) * 1e3)
    return f"{what:24} median {statistics.median(taken):7.2f} ms, slowest of {times} {max(taken):7.2f} ms"


def _config(root: Path) -> lh.Config:
    return lh.load_config(overrides=[f'lake.root="{root}"'], environ={})


def main(argv: Sequence[str] | None = None, *, say: Say = print) -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, default=400)
    parser.add_argument("--size-kb", type=int, default=2000)
    parser.add_argument("--lake", type=Path, help="time points in this lake, and export nothing")
    parser.add_argument("--entity", help="of --lake: one whose bytes it holds")
    arguments = parser.parse_args(argv)
    say(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.0f}")
    if arguments.lake:
        points(arguments.lake, arguments.entity, say=say)
        return
    with tempfile.TemporaryDirectory(prefix="petrel-access-") as folder:
        root = make_lake(Path(folder), arguments.objects, arguments.size_kb * 1000)
        points(root, None, say=say)
        exports(root, Path(folder), say=say)


if __name__ == "__main__":
    main()
