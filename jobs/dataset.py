"""Show the datasets of a lake, and all their versions.

petrel dataset list --lake my_lake
petrel dataset list --lake my_lake digits
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence

from jobs.common import main_of
from jobs.output import say, say_json, say_table
from lakehouse.config import Config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this command takes."""
    parser.add_argument("name", nargs="?", help="name of a dataset (default: all)")


def execute(config: Config, args: argparse.Namespace) -> int:
    """Run the command."""
    from lakehouse.datasets.versions.catalogue import dataset_versions
    from lakehouse.datasets.versions.find import find_dataset
    from lakehouse.opening import open_lake

    with open_lake(config) as lake:
        found = dataset_versions(lake, args.name)
        if args.name and not found:
            find_dataset(lake, args.name)
    if args.json:
        for row in found:
            say_json(row)
        return 0
    names = ["name", "dataset_id", "members", "excluded", "splits", "built_at", "published", "evaluations"]
    rows = [[_text(row[name]) for name in names] for row in found]
    say_table(names, rows, width=shutil.get_terminal_size().columns if sys.stdout.isatty() else None)
    if not found:
        say("no dataset yet; make one with `petrel build`")
    return 0


def _text(value: object) -> object:
    return " ".join(f"{name}={count:,}" for name, count in value.items()) if isinstance(value, dict) else value


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
