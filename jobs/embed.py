"""Give entities vectors by a model: what is nearest by them is found by `petrel similar`.

    ./spark-submit.sh jobs/embed.py --lake my_lake
    petrel embed --lake my_lake                                    # descriptor: colours and edges, needs no weights
    petrel embed --lake my_lake --embedder my_package.clip:EMBEDDER --weights clip.pt --device cuda:0

Only entities without a vector of this model are looked at; a run that was killed goes on where it was.
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
    add_model(parser)


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add what names a model and where it runs."""
    parser.add_argument(
        "--embedder",
        default="descriptor",
        metavar="NAME|PACKAGE.MODULE:NAME",
        help="what gives vectors (default: descriptor)",
    )
    parser.add_argument("--weights", metavar="FILE", help="the model's weights; their hash is part of its name")
    parser.add_argument("--device", default="cpu", help="what the model runs on, for example cuda:0 (default: cpu)")


def run(lake: Lake, args: argparse.Namespace) -> Receipt:
    """Run the step."""
    from lakehouse.embedding.registry import embedder_named
    from lakehouse.embedding.step import embed

    return embed(lake, embedder_named(args.embedder), weights=args.weights, device=args.device)


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
