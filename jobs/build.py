"""Build dataset versions from their recipes.

./spark-submit.sh jobs/build.py --lake my_lake --recipe conf/datasets/digits.toml
petrel build --lake my_lake --recipe conf/datasets/digits.toml
petrel build --lake my_lake --pipeline conf/pipelines/digits.toml
petrel build --lake my_lake --recipe conf/datasets/digits.toml --at paper     # over the tables as a commit has them
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from jobs.common import main_of
from lakehouse.steps.receipts import Receipt

if TYPE_CHECKING:
    from lakehouse.datasets.recipes.recipe import Recipe
    from lakehouse.lake import Lake


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this step takes."""
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument("--recipe", metavar="FILE", help="TOML file of one recipe")
    given.add_argument("--pipeline", metavar="FILE", help="take the recipes from a pipeline file")
    parser.add_argument("--at", default="", metavar="COMMIT",
                        help="follow it over the tables as a commit, tag, branch or {time} has them")
    parser.add_argument(
        "--allow-failed",
        default="",
        metavar="REASON",
        help="why failed quality suites stop nothing; recorded with their results",
    )


def run(lake: Lake, args: argparse.Namespace) -> Iterator[Receipt]:
    """Run the step."""
    from lakehouse.datasets.build import build

    pins = None
    if at := getattr(args, "at", ""):
        from lakehouse.commits.naming import pins_at

        pins = pins_at(lake.home, at)
    for recipe in recipes_of(args):
        yield build(lake, recipe, pins=pins, allow_failed=args.allow_failed)


def recipes_of(args: argparse.Namespace) -> tuple[Recipe, ...]:
    """Return the recipes that were named.

    Raises:
        ConfigError: If a file is missing or no TOML, or something in it is wrong.
    """
    from jobs.pipeline import load_pipeline
    from lakehouse.datasets.recipes.recipe import load_recipe

    return load_pipeline(args.pipeline).recipes if args.pipeline else (load_recipe(args.recipe),)


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
