"""Write what is said about a question as files of a label format.

    petrel opinions export --lake my_lake --format voc --question cells --actor import:bccd --to out/voc
    petrel opinions export --lake my_lake --format coco --question cells --actor import:bccd --to out/cells.json
    petrel opinions export --lake my_lake --format yolo --option task=detect --question cells --policy trust --to out
    petrel opinions export --lake my_lake --format voc --question cells --actor human:ada --to out/may \\
        --known-at 2024-05-31T00:00:00Z
    ./spark-submit.sh jobs/opinions_export.py --lake my_lake --format voc --question cells --actor human:ada --to out

Most formats hold one answer about each picture and nobody who gave it: then one actor must be named (a consensus is
one), or a label policy. What a format cannot hold is told by rule, count and example before anything is written;
--strict refuses instead. The place, a local one or a URL (s3://bucket/cells), must be missing, empty, or hold these
very files: then nothing is written. It appears whole or not at all; a prefix of a bucket is whole once it has
_export.json.
"""

from __future__ import annotations

import argparse
import sys
import typing
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from jobs.common import main_of
from lakehouse.errors import ConfigError, RejectedInputError
from lakehouse.opinions.words import format_names
from lakehouse.steps.receipts import Receipt

if TYPE_CHECKING:
    from lakehouse.lake import Lake


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this step takes."""
    parser.add_argument("--format", choices=format_names(), required=True, help="how they are written")
    parser.add_argument("--to", metavar="PATH", required=True, help="new folder or file, or its URL")
    parser.add_argument("--question", help="what is answered (default: all, of formats that hold several)")
    parser.add_argument("--actor", metavar="KIND:NAME", help="whose answers (default: everybody's)")
    parser.add_argument("--policy", metavar="NAME", help="what this label policy believes (default: what is said)")
    parser.add_argument("--source", default="", help="landed source whose files alone go out (default: all)")
    parser.add_argument("--known-at", metavar="TIME", help="as the lake knew it then, ISO 8601 (default: now)")
    parser.add_argument("--valid-at", metavar="TIME", help="as had been said by then, ISO 8601 (default: all)")
    parser.add_argument("--option", action="append", default=[], metavar="KEY=VALUE", help="an option of the format")
    parser.add_argument("--strict", action="store_true", help="refuse to write what the format cannot hold whole")


def run(lake: Lake, args: argparse.Namespace) -> Receipt:
    """Run the step."""
    from lakehouse.labels.exporting import export_opinions
    from lakehouse.opinions.exporting.step import writer_named
    from lakehouse.opinions.formats.options import option_values

    hints = typing.get_type_hints(writer_named(args.format).options)
    return export_opinions(
        lake,
        format=args.format,
        path=args.to,
        question=args.question,
        actor=args.actor,
        policy=args.policy,
        source=args.source,
        known_at=_time("--known-at", args.known_at),
        valid_at=_time("--valid-at", args.valid_at),
        options=option_values(args.option, hints, flag="--option"),
        strict=args.strict,
    )


def _time(flag: str, text: str | None) -> datetime | None:
    from lakehouse.opinions.reading.values import instant

    try:
        return None if text is None else instant(text, flag)
    except RejectedInputError as error:
        raise ConfigError(error.reason) from error


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
