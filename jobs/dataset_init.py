"""Write a first recipe from what a lake holds: it builds as it is, and its comments say what else could be asked.

    petrel dataset init --lake my_lake species > species.toml
    petrel dataset init --lake my_lake species --question species --to species.toml

Without --question it asks the one with most answers; `--question ""` asks none.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from jobs.common import main_of
from jobs.output import say, say_lines
from lakehouse.config import Config
from lakehouse.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this command takes."""
    parser.add_argument("name", help="name of the dataset")
    parser.add_argument("--question", metavar="ID", help="question whose answers are wanted")
    parser.add_argument("--to", metavar="FILE", help="write it there, not over a file (default: show it)")


def execute(config: Config, args: argparse.Namespace) -> int:
    """Run the command."""
    from lakehouse.datasets.recipes.recipe import NAME
    from lakehouse.datasets.recipes.starting import starting_recipe
    from lakehouse.opening import open_lake

    if not NAME.fullmatch(args.name):
        raise ConfigError(f"{args.name!r} is no name of a dataset; use up to 100 of a-z, 0-9, _ and -")
    with open_lake(config) as lake:
        text = starting_recipe(lake, args.name, args.question)
    if args.to is None:
        say_lines(text)
        return 0
    try:
        with Path(args.to).open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise ConfigError(
            f"--to {args.to}: cannot be written ({error.strerror}); give a file that does not exist"
        ) from error
    say(f"{args.to}: written; `petrel dataset plan --lake {args.lake} --recipe {args.to}` tells what it would give")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
