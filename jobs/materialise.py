"""Publish a dataset version as Parquet that any engine can read and `loaders.make_reader` feeds to training.

    ./spark-submit.sh jobs/materialise.py --lake my_lake --dataset digits
    petrel materialise --lake my_lake --dataset digits
    petrel materialise --lake my_lake --pipeline conf/pipelines/digits.toml
    petrel materialise --lake my_lake --query "select entity_id, width from entities_wide where width > 640"

Writes <lake>/datasets/<name>/<version id>/, all of it or nothing; a killed run keeps the files it had finished.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from jobs.common import main_of, parameters
from lakehouse.errors import ConfigError
from lakehouse.steps.receipts import Receipt

if TYPE_CHECKING:
    from lakehouse.lake import Lake


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this step takes."""
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument("--dataset", help="name of a dataset (the version built last) or a version id")
    given.add_argument("--pipeline", metavar="FILE", help="every dataset of a pipeline file, the version built last")
    given.add_argument(
        "--query", metavar="SQL", help="the rows of one SELECT that returns entity_id, built as a dataset first"
    )
    parser.add_argument("--name", default="", help="with --query: name of its dataset (default: query- and a hash)")
    parser.add_argument("--param", action="append", default=[], metavar="NAME=VALUE", help="with --query: a parameter")
    parser.add_argument(
        "--layout", choices=("extend", "fresh"), default="extend",
        help="extend: take over the files of an earlier version that hold only members of this one, unchanged "
             "(default); fresh: write all rows, so that files and order depend on this version alone",
    )  # fmt: skip
    parser.add_argument(
        "--allow-failed",
        default="",
        metavar="REASON",
        help="why failed quality suites stop nothing; recorded with their results",
    )


def run(lake: Lake, args: argparse.Namespace) -> Iterator[Receipt]:
    """Run the step."""
    from jobs.pipeline import load_pipeline
    from lakehouse.materialise.step import materialise

    if args.query is None and (args.name or args.param):
        raise ConfigError("--name and --param belong to --query; a dataset has both already")
    if args.query is not None:
        from lakehouse.materialise.querying import materialise_query

        yield from materialise_query(
            lake, args.query, params=parameters(args.param), name=args.name, fresh=args.layout == "fresh",
            allow_failed=args.allow_failed,
        )  # fmt: skip
        return
    names = [recipe.name for recipe in load_pipeline(args.pipeline).recipes] if args.pipeline else [args.dataset]
    for name in names:
        yield materialise(lake, name, fresh=args.layout == "fresh", allow_failed=args.allow_failed)


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
