"""Show a lake: its tables with versions and rows, its datasets, its last runs. Reads logs only, no data.

    petrel status --lake my_lake
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from jobs.common import main_of
from jobs.output import say, say_json, say_table
from lakehouse.config import Config
from lakehouse.place import find_home
from lakehouse.steps.receipts import Receipt, last

if TYPE_CHECKING:
    from lakehouse.status import TableStatus


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this command takes."""
    parser.add_argument("--runs", type=int, default=10, metavar="N", help="last runs to show (default: 10)")


def execute(config: Config, args: argparse.Namespace) -> int:
    """Run the command."""
    from lakehouse.status import published, table_status

    home = find_home(config)
    tables, folders, runs = table_status(home), published(home), last(home.files, limit=args.runs)
    if args.json:
        records = [dataclasses.asdict(each) for each in tables]
        steps = [dataclasses.asdict(run) for run in runs]
        say_json({"lake": home.address, "tables": records, "published": folders, "runs": steps})
        return 0
    say(f"lake {home}")
    say()
    say_table(["table", "version", "rows", "last write", "by"], [_table_row(each) for each in tables])
    if folders:
        say()
        say_table(["published dataset", "version"], folders)
    if runs:
        say()
        say_table(["started", "step", "engine", "s", "new rows", "counts"], [_run_row(run) for run in runs])
    return 0


def _table_row(each: TableStatus) -> list[object]:
    return [each.table, each.version, each.rows, _when(each.written_at), each.step or "-"]


def _run_row(run: Receipt) -> list[object]:
    counts = ", ".join(f"{name} {number:,}" for name, number in run.counts.items())
    return [_when(run.started_at), run.step, run.engine, run.seconds, run.rows_new, counts]


def _when(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
