"""Look for mistakes in recipes: keys, values, names of columns, the query. No lake is needed.

    petrel dataset check --recipe conf/datasets/digits.toml
    petrel dataset check --pipeline conf/pipelines/digits.toml
    petrel dataset check --recipe mine.toml --json      one line for each mistake, for editors and CI

Every mistake is told as `file:line:column: what was expected, what was found`. exit code: 1 if there is any
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from jobs.build import add_arguments
from jobs.common import main_of
from jobs.output import say, say_json
from lakehouse.config import Config

__all__ = ["add_arguments"]


def execute(config: Config, args: argparse.Namespace) -> int:
    """Run the command."""
    import dataclasses

    from jobs.pipeline import recipe_paths
    from lakehouse.datasets.recipes.mistakes import mistakes_in
    from lakehouse.datasets.recipes.recipe import load_recipe

    found = False
    for path in recipe_paths(args.pipeline) if args.pipeline else (args.recipe,):
        mistakes = mistakes_in(path)
        found = found or bool(mistakes)
        for mistake in mistakes:
            if args.json:
                say_json(dataclasses.asdict(mistake))
            else:
                say(f"{mistake.where}: {mistake.message}")
        if mistakes:
            continue
        recipe = load_recipe(path)
        if args.json:
            say_json({"name": recipe.name, "recipe": recipe.canonical()})
        else:
            say(f"{recipe.name}: no mistake found; `petrel dataset plan` tells what a build would give")
    return 1 if found else 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
