"""Erase entities for privacy: their bytes, what was derived from them, and every row about them.

    petrel erase --lake my_lake --subject-key patient=17 --reason "consent withdrawn" --dry-run
    petrel erase --lake my_lake --entity 9f3c41... --reason "request 2026-11"
    petrel erase --lake my_lake --source clinic-b --reason "contract ended" --published

Each dataset version and published folder that had them is named; none is built anew by itself, and published folders
stay unless --published. A tombstone of hashes and counts stays: the same bytes are refused when they come again. Rows
leave the newest version of each table at once, and older versions with the next `petrel maintain`, whatever pins them.
Backups, copies of the lake and of published folders, and caches of loaders elsewhere are for you to find. An erasure
that was killed is carried out by the next one.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jobs.common import main_of
from lakehouse.errors import ConfigError
from lakehouse.steps.receipts import Receipt

if TYPE_CHECKING:
    from lakehouse.lake import Lake


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this step takes."""
    parser.add_argument("--entity", action="append", default=[], metavar="ID", help="this entity; may be repeated")
    parser.add_argument("--source", default="", metavar="NAME", help="everything that only this source brought")
    parser.add_argument("--subject-key", metavar="NAME=VALUE", help="everything with this group key, as patient=17")
    parser.add_argument("--reason", default="", metavar="TEXT", help="why; it is kept, so it should name nobody")
    parser.add_argument("--published", action="store_true", help="also remove published folders that have the bytes")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be erased")


def run(lake: Lake, args: argparse.Namespace) -> Receipt:
    """Erase."""
    from lakehouse.care.erase import erase

    group = None
    if args.subject_key is not None:
        name, separator, value = args.subject_key.partition("=")
        if not (name and separator):
            raise ConfigError(f"--subject-key {args.subject_key}: expected NAME=VALUE, as patient=17")
        group = name, value
    return erase(
        lake, entities=args.entity, source=args.source, group=group, reason=args.reason, published=args.published,
        dry_run=args.dry_run,
    )  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
