"""Make silver anew from bronze: read everything again, compare row by row, and put right what differs.

    petrel rebuild --lake my_lake --layer silver --dry-run                      # is silver what bronze gives?
    petrel rebuild --lake my_lake --layer silver
    petrel rebuild --lake my_lake --source camera --since 2026-03-01T00:00:00Z --until 2026-04-01T00:00:00Z

Entities, their sources, dimensions and rejections are compared; opinions come from files of their own. Rows that are as
they were stay, with their age; what older extractors measured stays beside the new. The receipt has the digest of each
table: equal digests are equal content.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jobs.common import main_of
from jobs.times import instant_of
from lakehouse.steps.receipts import Receipt

if TYPE_CHECKING:
    from lakehouse.lake import Lake


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this step takes."""
    parser.add_argument("--layer", choices=("silver",), default="silver", help="what is made anew (default: silver)")
    parser.add_argument("--source", default="", metavar="NAME", help="only what this source brought")
    parser.add_argument("--since", metavar="TIME", help="only what was landed from then on, ISO 8601 with zone")
    parser.add_argument("--until", metavar="TIME", help="only what was landed before then, ISO 8601 with zone")
    parser.add_argument("--dry-run", action="store_true", help="only say what differs")


def run(lake: Lake, args: argparse.Namespace) -> Receipt:
    """Run the step."""
    from lakehouse.ingestion.rebuild import rebuild

    since, until = instant_of("--since", args.since), instant_of("--until", args.until)
    return rebuild(lake, source=args.source, since=since, until=until, dry_run=args.dry_run)


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
