"""How many reads of a small dataset are short, with the default pool and its 10 workers.

    python -m benchmarks.petastorm.opens                   # 1,000 opens of 1 row group, 200 of 30, twice: two minutes
    python -m benchmarks.petastorm.opens --quick           # a tenth of it

Each open is a new reader of the same files, which are Petastorm's. Both libraries take turns, a tenth each time.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.loaders.child import into_page_cache
from benchmarks.loaders.children import ChildError, run_child
from benchmarks.petastorm.sets import SETS, written
from benchmarks.petastorm.workloads import MODULES

_CASES = (("one", 1_000), ("thirty", 200))
_READERS = {"make_reader": "reader", "make_batch_reader": "batches"}
_TURNS = 10
_HEAD = "| reader, row groups | library | short reads | empty reads | opens | s per open |\n|---|---|---|---|---|---|"


def main(argv: Sequence[str] | None = None) -> int:
    """Count, print, and return 1 if a read of Petrel was short."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.petastorm.opens", description="Short reads.")
    parser.add_argument("--quick", action="store_true", help="a tenth of the opens")
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    lines, lost = [_HEAD], 0
    for name, opens in _CASES:
        for reader, workload in _READERS.items():
            found = count(name, workload, opens // 10 if args.quick else opens)
            groups = written(name, "petastorm")["row_groups"]
            for peer, result in found.items():
                lines.append(_row(f"{reader}, {groups}", peer, result, SETS[name].rows))
            ours = found["petrel"]
            lost += sum(rows != SETS[name].rows for rows in ours["rows"]) + bool(ours["failure"])
    verdict = "MET" if not lost else "NOT MET"
    sys.stdout.write("\n".join([*lines, "", f"No read of Petrel is short: {verdict}", ""]))
    return 1 if lost else 0


def count(name: str, workload: str, opens: int) -> dict[str, dict[str, Any]]:
    """Return {library: its rows of each read, and seconds}; both take turns."""
    folder = written(name, "petastorm")["folder"]
    into_page_cache(Path(folder))
    found: dict[str, dict[str, Any]] = {peer: {"rows": [], "seconds": 0.0, "failure": ""} for peer in MODULES}
    for _ in range(_TURNS):
        for peer, result in found.items():
            task = {
                "mode": "opens", "peer": peer, "workload": workload, "folder": folder, "arguments": {},
                "opens": max(1, opens // _TURNS), "started": time.monotonic(),
            }  # fmt: skip
            try:
                once = run_child(task, module="benchmarks.petastorm.child")
            except ChildError as error:
                result["failure"] = str(error)
                continue
            result["rows"] += once["rows"]
            result["seconds"] += once["seconds"]
    return found


def _row(what: str, peer: str, result: dict[str, Any], expected: int) -> str:
    rows = result["rows"]
    if not rows:
        return f"| {what} | {peer} | no result: {result['failure']} | | | |"
    short, empty = sum(each != expected for each in rows), sum(not each for each in rows)
    each_s = result["seconds"] / len(rows)
    return f"| {what} | {peer} | {short} ({short / len(rows):.0%}) | {empty} | {len(rows):,} | {each_s:.4f} |"


if __name__ == "__main__":
    sys.exit(main())
