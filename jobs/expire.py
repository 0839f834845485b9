"""Delete the bytes of a source that is old enough: rows and ids stay, and a tombstone says what went, when and why.

    petrel expire --lake my_lake --source camera --older-than 90d --dry-run
    petrel expire --lake my_lake --source camera --older-than 90d --reason "retention of 90 days"
    petrel expire --lake my_lake --source camera --older-than 90d --skip-pinned      # but for what datasets need

Bytes that a dataset version has, tagged or not, block it: the error names the versions. Bytes that another source
brought too, or that came again since, stay. The same bytes are refused when they come again. `petrel erase` is for
privacy.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jobs.common import main_of
from jobs.times import seconds_of
from lakehouse.steps.receipts import Receipt

if TYPE_CHECKING:
    from lakehouse.lake import Lake


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this step takes."""
    parser.add_argument("--source", required=True, metavar="NAME", help="whose bytes")
    parser.add_argument("--older-than", required=True, metavar="TIME", help="how long ago they were landed: 90d")
    parser.add_argument("--reason", default="", metavar="TEXT", help="why; it is kept")
    parser.add_argument("--skip-pinned", action="store_true", help="leave what dataset versions need, and say so")
    parser.add_argument("--dry-run", action="store_true", help="only say what would expire")


def run(lake: Lake, args: argparse.Namespace) -> Receipt:
    """Expire."""
    from datetime import timedelta

    from lakehouse.care.expire import expire

    older_than = timedelta(seconds=seconds_of("--older-than", args.older_than))
    return expire(
        lake, source=args.source, older_than=older_than, reason=args.reason, skip_pinned=args.skip_pinned,
        dry_run=args.dry_run,
    )  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
