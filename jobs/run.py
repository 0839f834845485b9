"""Run a whole pipeline: land, entities, dimensions, opinions, build, materialise; only what changed.

    ./spark-submit.sh jobs/run.py --lake my_lake --pipeline conf/pipelines/digits.toml
    petrel run --lake my_lake --pipeline conf/pipelines/digits.toml

Killed at any point, the same command goes on where it was.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from jobs.common import main_of
from lakehouse.steps.receipts import Receipt

if TYPE_CHECKING:
    from lakehouse.config import Config
    from lakehouse.lake import Lake

MAKES_LAKE = True
"""It begins by landing: a lake that is missing is made."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this step takes."""
    parser.add_argument("--pipeline", required=True, metavar="FILE", help="TOML file; see conf/pipelines/")
    parser.add_argument(
        "--allow-failed",
        default="",
        metavar="REASON",
        help="why failed quality suites stop nothing; recorded with their results",
    )


def check(args: argparse.Namespace, config: Config) -> None:
    """Refuse what cannot be landed before a lake is made for it."""
    from jobs.pipeline import load_pipeline
    from lakehouse.ingestion.sources.delivery import check_source

    for source in load_pipeline(args.pipeline).sources:
        check_source(source, config.stores.values())


def run(lake: Lake, args: argparse.Namespace) -> Iterator[Receipt]:
    """Run every step, in order; yields the receipt of each."""
    from jobs.following import STEPS, follow, quality_after
    from jobs.land import land_source
    from jobs.pipeline import load_pipeline

    pipeline = load_pipeline(args.pipeline)
    for source in pipeline.sources:
        yield from land_source(lake, source)
    yield from quality_after(lake, pipeline, "land", args.allow_failed)
    yield from follow(lake, STEPS, pipeline, allow_failed=args.allow_failed)


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
