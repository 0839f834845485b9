"""Bring marts up to date: aggregates for people, one SQL file each, of which only what new rows touch is computed.

    ./spark-submit.sh jobs/marts.py --lake my_lake --marts conf/marts
    petrel marts --lake my_lake                              # all of conf/marts
    petrel marts source_days --lake my_lake
    petrel sql --lake my_lake "select source, sum(size_bytes) as size_bytes from mart_source_days group by source"
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jobs.common import main_of
from lakehouse.steps.receipts import Receipt

if TYPE_CHECKING:
    from lakehouse.config import Config
    from lakehouse.lake import Lake


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this step takes."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="marts to bring up to date (default: all)")
    parser.add_argument(
        "--marts", default="conf/marts", metavar="PLACE", help="folder of .sql files, or one (default: conf/marts)"
    )
    parser.add_argument("--whole", action="store_true", help="compute all rows, whatever changed")
    parser.add_argument(
        "--check", action="store_true", help="compute all rows as well, and fail where [touched] left a key out"
    )


def check(args: argparse.Namespace, config: Config) -> None:
    """Refuse what cannot be read, before any work."""
    from lakehouse.marts.definition import load_marts

    load_marts(args.marts, args.names)


def run(lake: Lake, args: argparse.Namespace) -> Receipt:
    """Run the step."""
    from lakehouse.marts.definition import load_marts
    from lakehouse.marts.step import marts

    return marts(lake, load_marts(args.marts, args.names), whole=args.whole, check=args.check)


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
