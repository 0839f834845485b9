"""Tell what a build of a recipe would give: members, splits, strata that are short, and write nothing.

    petrel dataset plan --lake my_lake --recipe conf/datasets/digits.toml
    petrel dataset plan --lake my_lake --recipe conf/datasets/digits.toml --json

exit code: 1 where the build would stop
"""

from __future__ import annotations

import argparse
import dataclasses
import shutil
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jobs.build import add_arguments, recipes_of
from jobs.common import main_of
from jobs.output import say, say_json, say_table
from lakehouse.config import Config

if TYPE_CHECKING:
    from lakehouse.datasets.preview import DatasetPlan

__all__ = ["add_arguments"]

PARTS = ("splits", "excluded", "labels", "cells")


def execute(config: Config, args: argparse.Namespace) -> int:
    """Run the command."""
    from lakehouse.datasets.preview import plan_dataset
    from lakehouse.opening import open_lake

    plans = []
    with open_lake(config) as lake:
        for recipe in recipes_of(args):
            plans.append(plan_dataset(lake, recipe))
            if args.json:
                say_json(dataclasses.asdict(plans[-1]))
            else:
                _say(plans[-1])
    return 1 if any(plan.problems for plan in plans) else 0


def _say(plan: DatasetPlan) -> None:
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    built = "is there already" if plan.is_built else "would be built"
    more = f" and {plan.variants:,} variants of them" if plan.variants else ""
    own = plan.members - plan.variants
    say(f"{plan.name}: version {plan.dataset_id} {built}: {own:,} members of {plan.considered:,} considered{more}")
    for name in PARTS:
        rows = getattr(plan, name)
        if rows:
            say()
            say(f"{name}:")
            say_table(list(rows[0]), [[_text(value) for value in row.values()] for row in rows], width=width)
    for problem in plan.problems:
        say(f"the build would stop: {problem}")


def _text(value: object) -> object:
    if isinstance(value, dict):
        return " + ".join(f"{count:,} {name}" for name, count in value.items())
    return "" if value is None else value


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
