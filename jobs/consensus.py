"""Make one answer of many about each subject, and record it as opinions of a consensus.

    petrel consensus --lake my_lake --question species --method dawid-skene
    petrel consensus --lake my_lake --question species --method majority --ties abstain --quorum 3 --escalate open.csv
    petrel consensus --lake my_lake --question cells --method boxes --min-iou 0.5 --quorum 2 --expert human:dr_lee

The actor is consensus:METHOD@VERSION; other settings than the default ones make another actor. People are heard
(human, import, pool) unless --kind or --actor say otherwise; a consensus is never heard unless it is named. The same
answers again add nothing. What stays undecided is an abstention with its reason, and a line of --escalate FILE.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jobs.common import main_of
from jobs.times import instant_of
from lakehouse.consensus.methods.words import MATCHINGS, METHODS, TIES
from lakehouse.steps.receipts import Receipt

if TYPE_CHECKING:
    from lakehouse.config import Config
    from lakehouse.consensus.settings import Settings
    from lakehouse.lake import Lake

MANY = ("kinds", "actors", "experts")
NUMBERS = ("quorum", "margin", "rounds", "tolerance", "smoothing", "trim", "period", "threshold", "min_iou")
CHOICES = ("ties", "form", "matching")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this step takes."""
    shown = "; ".join(f"{name}: {about}" for name, about in METHODS.items())
    parser.add_argument("--question", required=True, help="the question")
    parser.add_argument("--method", required=True, choices=tuple(METHODS), metavar="METHOD", help=shown)
    parser.add_argument("--kind", action="append", dest="kinds", metavar="KIND",
                        help="kind of actors that are heard, may be repeated (default: human, import, pool)")
    parser.add_argument("--actor", action="append", dest="actors", metavar="ACTOR",
                        help="hear this actor, and others only if they are named too")
    parser.add_argument("--expert", action="append", dest="experts", metavar="ACTOR",
                        help="what this actor says holds; of several the one named first")
    parser.add_argument("--quorum", type=int, help="votes an answer needs; of regions: annotators who found it (1)")
    parser.add_argument("--ties", choices=TIES, help="which of equally good labels is taken (abstain)")
    parser.add_argument("--margin", type=float, help="lead over the second label that the best one needs, 0 to 1 (0)")
    parser.add_argument("--rounds", type=int, help="rounds of EM at most (100)")
    parser.add_argument("--tolerance", type=float, help="change below which EM has converged (0.00001)")
    parser.add_argument("--smoothing", type=float, help="votes added to each cell of a confusion matrix (0.01)")
    parser.add_argument("--form", choices=("auto", "numpy", "sql"), help="where Dawid-Skene computes (auto)")
    parser.add_argument("--trim", type=float, help="share that a trimmed mean leaves out at each end (0.1)")
    parser.add_argument("--period", type=float, help="angle of a whole turn (360)")
    parser.add_argument("--threshold", type=float,
                        help="share of those who answered that a label, pixel, character or instant must exceed (0.5)")
    parser.add_argument("--min-iou", type=float, help="overlap from which two shapes are of one object (0.5)")
    parser.add_argument("--matching", choices=MATCHINGS, help="how shapes find one another (greedy)")
    parser.add_argument("--known-at", metavar="TIME", help="as we knew it then, ISO 8601 with zone")
    parser.add_argument("--valid-at", metavar="TIME", help="as had been said by then, ISO 8601 with zone")
    parser.add_argument("--escalate", metavar="FILE", help="write what stays undecided there (.csv or .jsonl)")


def settings_of(args: argparse.Namespace) -> Settings:
    """Return the settings that the arguments state."""
    from lakehouse.consensus.settings import Settings

    stated: dict[str, object] = {name: tuple(getattr(args, name) or ()) for name in MANY}
    stated |= {name: value for name in (*NUMBERS, *CHOICES) if (value := getattr(args, name)) is not None}
    return Settings(method=args.method, **stated)  # type: ignore[arg-type]


def check(args: argparse.Namespace, config: Config) -> None:
    """Refuse settings that cannot be, before the lake is opened."""
    from lakehouse.consensus.registry import METHODS as TAKEN

    settings_of(args).check_taken(TAKEN[args.method].takes)


def run(lake: Lake, args: argparse.Namespace) -> Receipt:
    """Run the step."""
    from lakehouse.consensus.step import consensus

    return consensus(
        lake,
        question=args.question,
        settings=settings_of(args),
        known_at=instant_of("--known-at", args.known_at),
        valid_at=instant_of("--valid-at", args.valid_at),
        escalate=args.escalate,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
