"""Look again for the subjects of answers that wait: those whose file has landed since become opinions.

    petrel opinions resolve --lake my_lake
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jobs.common import main_of
from lakehouse.steps.receipts import Receipt

if TYPE_CHECKING:
    from lakehouse.lake import Lake


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this step takes: nothing of its own."""


def run(lake: Lake, args: argparse.Namespace) -> Receipt:
    """Run the step."""
    from lakehouse.opinions.step import resolve_parked

    return resolve_parked(lake)


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
