"""Build one dataset version from its recipe.

    ./spark-submit.sh jobs/build.py --lake my_lake --recipe conf/datasets/digits.toml
    petrel build --lake my_lake --recipe conf/datasets/digits.toml
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from jobs.common import main_of
from lakehouse.datasets.build import build
from lakehouse.datasets.recipe import load_recipe
from lakehouse.lake import Lake
from lakehouse.receipts import Receipt

STEP = "build"
HELP = "build a dataset version from a recipe"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this step takes."""
    parser.add_argument("--recipe", required=True, metavar="FILE", help="TOML file of the recipe")


def run(lake: Lake, args: argparse.Namespace) -> Receipt:
    """Run the step."""
    return build(lake, load_recipe(args.recipe))


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
