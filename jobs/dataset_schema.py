"""Print the JSON schema of recipes, for editors: keys, types, words they take, defaults and what each means.

    petrel dataset schema > recipe.schema.json

An editor that knows TOML takes it from the first line of a recipe: `#:schema recipe.schema.json`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from jobs.common import main_of
from jobs.output import say_lines
from lakehouse.config import Config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this command takes: nothing."""


def execute(config: Config, args: argparse.Namespace) -> int:
    """Run the command."""
    from lakehouse.datasets.recipes.schema import schema_text

    say_lines(schema_text())
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
