"""Take answers as lines of JSON from a service or a program and write them as they come.

    predict photos | petrel opinions record --lake my_lake --source cnn --actor model:cnn@3 --question species
    petrel opinions record --lake my_lake --source desk --path answers.jsonl

Each line is one answer, as in `petrel opinions import --format jsonl`:

    {"subject": "9f3c...", "label": "cat", "probs": {"cat": 0.9, "dog": 0.1}, "event_time": "2024-05-01T10:00:00Z"}

A batch is written when it is full or its first line has waited long enough, and its receipt is printed; each is whole
or not at all. A line with a time or an id (`source_key`) adds nothing when it comes again, so whoever is not sure that
lines arrived sends them again. Several writers may record at once.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from jobs.common import main_of
from jobs.times import instant_of
from lakehouse.errors import ConfigError
from lakehouse.opinions.words import MATCHES
from lakehouse.steps.receipts import Receipt

if TYPE_CHECKING:
    from lakehouse.lake import Lake


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this step takes."""
    parser.add_argument("--source", required=True, help="stable name of where the answers are from")
    parser.add_argument("--path", metavar="FILE", help="file with the lines (default: the standard input)")
    parser.add_argument("--question", default="", help="question of lines that name none")
    parser.add_argument("--actor", default="", metavar="KIND:NAME", help="who answers in lines that name nobody")
    parser.add_argument("--match", choices=MATCHES, default="auto", help="how subjects are named (default: auto)")
    parser.add_argument("--landed-source", default="", metavar="SOURCE", help="landed source whose files are meant")
    parser.add_argument("--system", default="", help="instance of the system that ids in the lines belong to")
    parser.add_argument("--project", default="", help="project in that system")
    parser.add_argument("--said-at", metavar="TIME", help="when lines without a time were said, ISO 8601")
    parser.add_argument("--rows", type=int, default=10_000, help="lines of a batch at most (default: 10000)")
    parser.add_argument("--seconds", type=float, default=10.0, help="write what has waited so long (default: 10)")
    parser.add_argument("--max-rejected-share", type=float, metavar="SHARE",
                        help="share of the lines that may not pass before it stops (default: of the configuration)")


def run(lake: Lake, args: argparse.Namespace) -> Iterator[Receipt]:
    """Run the step."""
    from lakehouse.opinions.stream import Stream, record_stream

    if args.rows < 1 or args.seconds < 0:
        raise ConfigError("--rows must be at least 1, and --seconds at least 0")
    stated = args.max_rejected_share
    stream = Stream(
        source=args.source, question=args.question, actor=args.actor, match=args.match,
        landed_source=args.landed_source, system=args.system, project=args.project,
        said_at=instant_of("--said-at", args.said_at), rows=args.rows, seconds=args.seconds,
    )  # fmt: skip
    share = lake.config.opinions.max_rejected_share if stated is None else stated
    if args.path is None:
        yield from record_stream(lake, sys.stdin.buffer, stream, max_rejected_share=share)
        return
    with open(args.path, "rb") as lines:
        yield from record_stream(lake, lines, stream, max_rejected_share=share)


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
