"""Look into every landed file: make entities, link duplicates to them, reject what is broken with a reason.

    ./spark-submit.sh jobs/entities.py --lake my_lake
    petrel entities --lake my_lake
    petrel entities --lake my_lake --retry-rejected
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
    """What this step takes."""
    parser.add_argument("--retry-rejected", action="store_true",
                        help="look again at everything that was rejected, as after an upgrade of what reads it")


def run(lake: Lake, args: argparse.Namespace) -> Receipt:
    """Run the step."""
    from lakehouse.ingestion.entities import entities

    return entities(lake, retry_rejected=args.retry_rejected)


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
