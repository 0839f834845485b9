"""Take a whole import back: labels or predictions that should not have come in. Or single answers.

    petrel opinions retract --lake my_lake --list                       # what was imported, oldest first
    petrel opinions retract --lake my_lake labels.csv --reason "wrong class order"
    petrel opinions retract --lake my_lake --batch 9f3c41               # by its id, or how that begins
    petrel opinions retract --lake my_lake --opinion 41aa07 --reason "not a cat"

An import is named by its id, path, file name or source. Nothing is deleted: every answer that it brought gets a
retraction, and what those answers had replaced holds again; answers that wait for their subject wait no longer.
Doing it twice adds nothing. Importing the files again says their answers again.

A single answer, by the id that `petrel why ENTITY` shows, is taken back in the name of who gave it; what it had
replaced does not hold again. `petrel retract` is the same command.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from jobs.common import main_of
from jobs.output import say, say_json
from lakehouse.errors import ConfigError
from lakehouse.steps.receipts import Receipt

if TYPE_CHECKING:
    from lakehouse.lake import Lake


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this step takes."""
    parser.add_argument("name", nargs="?", metavar="IMPORT", help="id (or how it begins), path, file or source name")
    parser.add_argument("--batch", metavar="ID", help="the import by its id, or how that begins")
    parser.add_argument("--opinion", action="append", default=[], metavar="ID",
                        help="take this answer back instead; may be repeated")
    parser.add_argument("--list", action="store_true", help="show the imports, oldest first")
    parser.add_argument("--all", action="store_true", help="take back every import that is called so")
    parser.add_argument("--reason", default="", metavar="TEXT", help="why; kept with every retraction")


def run(lake: Lake, args: argparse.Namespace) -> Iterator[Receipt]:
    """Take one import back, or show them all."""
    from lakehouse.opinions.imports import find_imports, imports_of
    from lakehouse.opinions.retract import retract_import, retract_opinions

    if args.list:
        for each in imports_of(lake):
            if args.json:
                say_json(dataclasses.asdict(each))
            else:
                say(str(each))
        return
    if bool(args.name) + bool(args.batch) + bool(args.opinion) != 1:
        raise ConfigError("name one import to take back, or give --opinion ID, or --list to see the imports")
    if args.opinion:
        yield retract_opinions(lake, args.opinion, reason=args.reason)
        return
    for found in find_imports(lake, args.batch or args.name, several=args.all):
        yield retract_import(lake, found, reason=args.reason)


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
