"""Reify: make entities of what is seen, with links to where: of tracks in videos the objects that they follow.

    ./spark-submit.sh jobs/reify.py --lake my_lake --question people
    petrel reify tracks --lake my_lake --question people [--actor consensus:tracks@1] [--min-iou 0.5]
    petrel reify places --lake my_lake --cell-m 50 \\
        --sql "select entity_id, latitude, longitude, captured_at as seen_at from entities_wide"
    petrel reify places --lake my_lake --within-m 30 --least 3 --sql "..."

Ids stay: an object keeps its id while members come and go, and of two that turn out to be one the older id survives.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jobs.common import Verb, main_of
from lakehouse.errors import ConfigError
from lakehouse.steps.receipts import Receipt

if TYPE_CHECKING:
    from lakehouse.lake import Lake


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this step takes."""
    parser.add_argument("--question", required=True, help="what was asked; boxes with a track id are looked at")
    parser.add_argument("--actor", action="append", default=[], metavar="ACTOR", help="whose tracks (default: all)")
    parser.add_argument(
        "--min-iou", type=float, default=0.5, metavar="SHARE",
        help="overlap over all frames from which tracks of two answers are of one thing (default: 0.5)",
    )  # fmt: skip


def run(lake: Lake, args: argparse.Namespace) -> Receipt:
    """Run the step."""
    from lakehouse.reifying.step import reify_tracks

    return reify_tracks(lake, args.question, actors=args.actor, min_iou=args.min_iou)


def _arguments_of_places(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sql", required=True, help="query for entity_id, latitude, longitude and perhaps seen_at")
    parser.add_argument("--cell-m", type=float, metavar="M", help="a place is a cell of a grid: its side, metres")
    parser.add_argument(
        "--within-m", type=float, metavar="M", help="a place is what hangs together: metres from one to the next"
    )
    parser.add_argument(
        "--least", type=int, default=1, metavar="N",
        help="with --within-m: positions within these metres, itself counted, of one that makes a place (default: 1)",
    )  # fmt: skip
    parser.add_argument(
        "--name", default="", help="tells grids for different things apart (default: places, or clusters)"
    )


def _places(lake: Lake, args: argparse.Namespace) -> Receipt:
    from lakehouse.reifying.step import reify_clusters, reify_places

    if (args.cell_m is None) == (args.within_m is None):
        raise ConfigError("state one of --cell-m (cells of a grid) and --within-m (what hangs together)")
    if args.within_m is not None:
        return reify_clusters(lake, args.sql, within_m=args.within_m, least=args.least, name=args.name or "clusters")
    if args.least != 1:
        raise ConfigError("--least: is of --within-m; a cell is a place whoever is in it")
    return reify_places(lake, args.sql, cell_m=args.cell_m, name=args.name or "places")


PLACES = Verb(
    """Make one place of the positions in one cell of a grid on the earth, or of those that hang together.

    petrel reify places --lake my_lake --cell-m 50 \\
        --sql "select entity_id, latitude, longitude, captured_at as seen_at from entities_wide"
    petrel reify places --lake my_lake --within-m 30 --least 3 --sql "..."
""",
    _arguments_of_places,
    _places,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
