"""Tell what differs between two versions of a dataset: members, splits, answers and whose, classes, dimensions.

    petrel dataset diff --lake my_lake 3f2c...  9ab1...
    petrel dataset diff --lake my_lake 3f2c... digits --rows
    petrel dataset diff --lake my_lake 3f2c... digits --html diff.html

A version is named by its id, or by the name of a dataset for the one that was built last.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.common import main_of
from jobs.output import say, say_json, say_table
from lakehouse.config import Config

if TYPE_CHECKING:
    from lakehouse.comparing.diff import DatasetDiff

SHOWN = 20
"""Rows of a part that people see; `--json` has all."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this command takes."""
    parser.add_argument("old", help="the older version: its id, or the name of a dataset")
    parser.add_argument("new", help="the newer version")
    parser.add_argument("--rows", action="store_true", help="print every member that differs")
    parser.add_argument("--html", metavar="FILE", type=Path, help="write the report as one page that needs no network")
    parser.add_argument("--no-dimensions", action="store_true", help="do not compare dimensions, the costly part")


def execute(config: Config, args: argparse.Namespace) -> int:
    """Run the command."""
    from lakehouse.comparing.diff import diff_datasets
    from lakehouse.comparing.page import write_page
    from lakehouse.opening import open_lake

    with open_lake(config) as lake:
        found = diff_datasets(lake, args.old, args.new, dimensions=not args.no_dimensions)
    if args.html:
        write_page(found, args.html)
    if args.json:
        say_json({"old": found.old, "new": found.new, "counts": found.counts, **dict(found.parts())})
        for row in found.members.to_pylist() if args.rows else ():
            say_json(row)
    else:
        _say(found, rows=args.rows)
    return 0


def _say(found: DatasetDiff, *, rows: bool) -> None:
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for side, version in (("old", found.old), ("new", found.new)):
        say(f"{side}: {version['name']} {version['dataset_id']}, {version['members']:,} members")
    if found.is_same:
        say("no member differs")
    say_table(["members", "count"], [[name, count] for name, count in found.counts.items()], width=width)
    for name, part in found.parts():
        if part:
            say()
            say(f"{name}{f', the first {SHOWN} of {len(part):,}' if len(part) > SHOWN else ''}:")
            _table(part[:SHOWN], width)
    if rows and found.members.num_rows:
        say()
        _table(found.members.to_pylist(), width)


def _table(rows: Sequence[Mapping[str, object]], width: int | None) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [["" if row.get(name) is None else _rounded(row[name]) for name in names] for row in rows]
    say_table(names, cells, width=width)


def _rounded(value: object) -> object:
    return float(f"{value:.6g}") if isinstance(value, float) else value


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
