"""Have a dataset built and published by a process of its own: its version id comes at once.

    petrel dataset prepare --lake my_lake --recipe conf/datasets/digits.toml
    petrel dataset get --lake my_lake 3f2c9196b1d84c0f8bd4b3a0d3a0b1de --wait 600

However many ask for the same version, it is built once; one that failed is tried again.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jobs.build import add_arguments, recipes_of
from jobs.common import main_of
from jobs.output import say, say_json
from lakehouse.config import Config

if TYPE_CHECKING:
    from lakehouse.preparing.states import Prepared

__all__ = ["add_arguments"]


def execute(config: Config, args: argparse.Namespace) -> int:
    """Run the command."""
    from lakehouse.opening import open_lake
    from lakehouse.preparing.prepare import prepare

    with open_lake(config) as lake:
        for recipe in recipes_of(args):
            say_prepared(prepare(lake, recipe), as_json=args.json)
    return 0


def say_prepared(found: Prepared, *, as_json: bool) -> None:
    """Show where a version stands."""
    if as_json:
        say_json(dataclasses.asdict(found))
    else:
        say(" ".join(filter(None, [found.dataset_id, found.state, found.location or found.message])))


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
