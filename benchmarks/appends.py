"""What thousands of small appends do to a lake, and what `petrel maintain` mends.

    python -m benchmarks.appends                          # 2,000 appends in one open lake
    python -m benchmarks.appends --appends 500 --lake s3://bucket/appends

Seconds are of processor, of this process; an append is one opinion-sized row through `insert_rows`.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from lakehouse.care.maintain import maintain
from lakehouse.config import load_config
from lakehouse.lake import Lake
from lakehouse.opening import open_lake
from lakehouse.query import fetch
from lakehouse.status import table_status
from lakehouse.tables.insert import insert_rows
from lakehouse.verification.places import place_of
from schemas.tables import ACTORS

AROUND = 5
"""Appends on each side of one whose median is told."""


def main(argv: Sequence[str] | None = None) -> None:
    """Append, measure, maintain, and measure again."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--appends", type=int, default=2000)
    parser.add_argument("--lake", help="folder or URL of a lake that is made; else one is made and thrown away")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as scratch:
        root = arguments.lake or str(Path(scratch) / "lake")
        config = load_config(overrides=[f'lake.root="{root}"', "engine.workers=1"])
        with open_lake(config, create=True) as lake:
            costs = [_cost(lambda number=number: _append(lake, number)) for number in range(arguments.appends)]
            for number in sorted({10, arguments.appends // 10, arguments.appends // 2, arguments.appends}):
                near = costs[max(0, number - 1 - AROUND) : number + AROUND]
                _say(f"append {number}", statistics.median(near))
            ratio = statistics.median(costs[-2 * AROUND :]) / statistics.median(costs[10 - AROUND : 10 + AROUND])
            sys.stdout.write(f"last / 10th: {ratio:.2f}\n")
            _look(lake, "before maintain")
        with open_lake(config) as lake:
            _look(lake, "before maintain, opened anew")
            _say("maintain", _cost(lambda: maintain(lake)))
        with open_lake(config) as lake:
            _look(lake, "after maintain")
            _say("append after maintain", statistics.median(_cost(lambda n=n: _append(lake, -n)) for n in range(1, 12)))


def _append(lake: Lake, number: int) -> None:
    row = {"actor_id": f"human:{number}", "kind": "human", "name": f"{number}"}
    insert_rows(lake, ACTORS, [row], step="benchmark")


def _look(lake: Lake, when: str) -> None:
    place = place_of(lake.home, ACTORS)
    names = [each.name.rpartition("/")[2] for each in lake.files.list(place.folder_name)]
    data = sum(name.endswith("snappy.parquet") for name in names)
    entries = sum(name.endswith(".json") for name in names)
    sys.stdout.write(f"{when}: {data:,} data files, {entries:,} log entries\n")
    _say(f"{when}: status", _cost(lambda: table_status(lake.home)))
    text = "select kind, count(*) as n from silver.actors group by kind"
    _say(f"{when}: query", _cost(lambda: fetch(lake, text)))


def _cost(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _say(what: str, seconds: float) -> None:
    sys.stdout.write(f"{what}: {1000 * seconds:,.1f} ms of processor\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
