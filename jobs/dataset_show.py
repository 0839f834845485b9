"""Show all that is recorded of one version of a dataset.

petrel dataset show --lake my_lake digits
petrel dataset show --lake my_lake 3f2c... --json
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Mapping, Sequence

from jobs.common import main_of
from jobs.output import json_line, say, say_json, say_table
from lakehouse.config import Config

TABLES = ("excluded", "labels", "cells", "strata", "sources", "published", "evaluated")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this command takes."""
    parser.add_argument("dataset", help="name of a dataset, for the version built last, or the id of a version")


def execute(config: Config, args: argparse.Namespace) -> int:
    """Run the command."""
    from lakehouse.datasets.versions.catalogue import dataset_record
    from lakehouse.opening import open_lake

    with open_lake(config) as lake:
        found = dataset_record(lake, args.dataset)
    if args.json:
        say_json(found)
    else:
        _say(found)
    return 0


def _say(found: Mapping[str, object]) -> None:
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    plain = [(name, value) for name, value in found.items() if name not in TABLES]
    texts = [(name, value if isinstance(value, int | str) else json_line(value)) for name, value in plain]
    say_table(("dataset", ""), texts, width=width)
    for name in TABLES:
        rows = found[name]
        if isinstance(rows, list) and rows:
            say()
            say(f"{name}:")
            say_table(list(rows[0]), [[_text(value) for value in row.values()] for row in rows], width=width)


def _text(value: object) -> object:
    if isinstance(value, dict):
        return " + ".join(f"{count:,} {name}" for name, count in value.items())
    return "" if value is None else value


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
