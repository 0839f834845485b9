"""Show all datasets of a lake: owner, freshness, size, versions, tags, and who uses them.

    petrel catalog --lake my_lake
    petrel catalog --lake my_lake --html catalog.html

The owner is who built the newest version, as `lake.author` of the configuration said then. The page needs no network.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from jobs.common import main_of
from jobs.output import say, say_json, say_table
from lakehouse.config import Config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this command takes."""
    parser.add_argument("--html", metavar="FILE", type=Path, help="write it as one page that needs no network")


def execute(config: Config, args: argparse.Namespace) -> int:
    """Run the command."""
    from lakehouse.cards.catalog import HEAD, catalog, catalog_page, line
    from lakehouse.opening import open_lake
    from loaders.stores.files import write_durably

    with open_lake(config) as lake:
        rows, where = catalog(lake), str(lake.home)
    if args.html:
        write_durably(args.html, catalog_page(rows, where=where).encode())
    if args.json:
        for row in rows:
            say_json(row)
    elif rows:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        say_table(HEAD, [line(row) for row in rows], width=width)
    else:
        say("no dataset yet; make one with `petrel build`")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
