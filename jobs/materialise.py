"""Publish a dataset version as Parquet that any engine can read and `loaders.make_reader` feeds to training.

    ./spark-submit.sh jobs/materialise.py --lake my_lake --dataset digits
    petrel materialise --lake my_lake --dataset digits
    petrel materialise --lake my_lake --pipeline conf/pipelines/digits.toml

Writes <lake>/datasets/<name>/<version id>/, all of it or nothing; a killed run keeps the files it had finished.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from jobs.common import main_of
from lakehouse.steps.receipts import Receipt

if TYPE_CHECKING:
    from lakehouse.lake import Lake


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this step takes."""
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument("--dataset", help="name of a dataset (the version built last) or a version id")
    given.add_argument("--pipeline", metavar="FILE", help="every dataset of a pipeline file, the version built last")


def run(lake: Lake, args: argparse.Namespace) -> Iterator[Receipt]:
    """Run the step."""
    from jobs.pipeline import load_pipeline
    from lakehouse.materialise.step import materialise

    names = [recipe.name for recipe in load_pipeline(args.pipeline).recipes] if args.pipeline else [args.dataset]
    for name in names:
        yield materialise(lake, name)


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
