"""Take back what one commit brought; what came later stays.

    petrel revert --lake my_lake 3f2c91

Its rows leave the newest version of each table, and what it took out comes back; older versions stay as they are. Where
rows of later commits stand on it, it says which and writes nothing.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jobs.common import main_of
from lakehouse.steps.receipts import Receipt

if TYPE_CHECKING:
    from lakehouse.lake import Lake


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this command takes."""
    parser.add_argument("commit", help="id of the commit or how it begins, a tag, HEAD, HEAD~2")
    parser.add_argument("--message", "-m", default="", metavar="WHY", help="why, for people")


def run(lake: Lake, args: argparse.Namespace) -> Receipt:
    """Run the step."""
    from lakehouse.merging.merge import revert

    return revert(lake, args.commit, message=args.message)


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
