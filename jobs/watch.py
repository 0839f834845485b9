"""Land what arrives in a growing folder or bucket, batch by batch, and run the steps that follow after each.

    petrel watch --lake my_lake --source camera --folder drops                     # looks every 30 s, until ctrl-c
    petrel watch --lake my_lake --source camera --folder drops --steps entities,dimensions --every 5m
    petrel watch --lake my_lake --source camera --folder s3://bucket/drops --available-now    # what is there
    petrel watch --lake my_lake --pipeline conf/pipelines/digits.toml --available-now
    ./spark-submit.sh jobs/watch.py --lake my_lake --source camera --folder drops       # Structured Streaming

Every file is landed once, whatever is killed; what is overwritten is a new observation. A file still being written is
left until it has not changed for --rest; one that was moved to its place is taken at once. SIGTERM and ctrl-c end it
after the batch under way, with exit code 0; a second one ends it at once, and the next start goes on from there.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from jobs import land
from jobs.common import main_of
from jobs.times import seconds_of
from lakehouse.errors import ConfigError
from lakehouse.steps.receipts import Receipt

if TYPE_CHECKING:
    from lakehouse.config import Config
    from lakehouse.lake import Lake

MAKES_LAKE = True
"""It lands: a lake that is missing is made."""

EVERY = "30s"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this step takes."""
    land.add_arguments(parser)
    when = parser.add_mutually_exclusive_group()
    when.add_argument("--available-now", action="store_true", help="land what is there, then end")
    when.add_argument("--every", metavar="TIME", help=f"from one look to the next: 30s, 5m (default: {EVERY})")
    parser.add_argument("--steps", metavar="NAMES", help="what to run after each batch, as entities,dimensions; with "
                        "--pipeline: all that follows, and opinions and datasets may be named too")
    parser.add_argument("--max-files", type=int, metavar="N", help="files of a batch at most (default: 1000)")
    parser.add_argument("--max-mb", type=float, metavar="MB", help="megabytes of a batch at most (default: 1024)")
    parser.add_argument("--rest", default="2s", metavar="TIME",
                        help="how long a file must not have changed to be taken (default: 2s)")


def check(args: argparse.Namespace, config: Config) -> None:
    """Refuse what cannot be watched before a lake is made for it."""
    from jobs.following import steps_of

    steps_of(args.steps, has_pipeline=args.pipeline is not None)
    land.check(args, config)


def run(lake: Lake, args: argparse.Namespace) -> Iterator[Receipt]:
    """Watch until told to stop; yields the receipts of all steps."""
    from jobs.following import follow, quality_after, steps_of
    from lakehouse.ending import stop_when_told
    from lakehouse.ingestion.watch import MAX_BYTES, MAX_FILES, Batches, watch

    pipeline = None
    if args.pipeline is not None:
        from jobs.pipeline import load_pipeline

        pipeline = load_pipeline(args.pipeline)
    steps = steps_of(args.steps, has_pipeline=pipeline is not None)
    every_s = None if args.available_now else seconds_of("--every", args.every or EVERY)
    if every_s == 0:
        raise ConfigError("--every 0s: expected some time from one look to the next")
    batches = Batches(
        max_files=MAX_FILES if args.max_files is None else args.max_files,
        max_bytes=MAX_BYTES if args.max_mb is None else int(args.max_mb * 2**20),
        rest_s=seconds_of("--rest", args.rest),
    )
    stop = stop_when_told()
    # What was landed before this was started, and not worked on: it may have been killed in between.
    yield from (receipt for receipt in follow(lake, steps, pipeline) if receipt.changed)
    for receipt in watch(lake, land.sources_of(args), every_s=every_s, batches=batches, stop=stop):
        yield receipt
        if receipt.step == "land":
            yield from quality_after(lake, pipeline, "land", "")
            yield from follow(lake, steps, pipeline)


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
