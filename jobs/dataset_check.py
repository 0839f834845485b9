"""Look for mistakes in recipes: keys, values, names of columns, the query. No lake is needed.

    petrel dataset check --recipe conf/datasets/digits.toml
    petrel dataset check --pipeline conf/pipelines/digits.toml
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from jobs.build import add_arguments, recipes_of
from jobs.common import main_of
from jobs.output import say, say_json
from lakehouse.config import Config

__all__ = ["add_arguments"]


def execute(config: Config, args: argparse.Namespace) -> int:
    """Run the command."""
    from lakehouse.datasets.following import check_selection
    from lakehouse.datasets.plan import check_strata_columns

    for recipe in recipes_of(args):
        check_selection(recipe)
        check_strata_columns(recipe)
        if args.json:
            say_json({"name": recipe.name, "recipe": recipe.canonical()})
        else:
            say(f"{recipe.name}: no mistake found; `petrel dataset plan` tells what a build would give")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
