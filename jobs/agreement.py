"""Show how far the answers to one question agree, what each actor is like, and which labels look wrong.

    petrel agreement --lake my_lake --question species
    petrel agreement --lake my_lake --question species --reference human:gold --html agreement.html
    petrel agreement --lake my_lake --question severity --level ordinal --json

Krippendorff's alpha, Fleiss' and Cohen's kappa, pairs; of regions mean overlap and F1. Of each actor accuracy against a
reference (gold answers, a consensus; else the majority of the others), confusions, pace, drift, cost. Nothing is
written to the lake; --html writes one file that needs no network.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.common import main_of
from jobs.output import say, say_json, say_table
from jobs.times import instant_of
from lakehouse.agreement.measures.levels import LEVELS
from lakehouse.errors import ConfigError

if TYPE_CHECKING:
    from lakehouse.agreement.report import Agreement
    from lakehouse.config import Config

SHOWN = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this command takes."""
    parser.add_argument("--question", required=True, help="the question")
    parser.add_argument("--reference", metavar="ACTOR", help="actor that the others are compared with")
    parser.add_argument("--kind", action="append", default=[], metavar="KIND",
                        help="kind of actors, may be repeated (default: human, import, pool)")
    parser.add_argument("--actor", action="append", default=[], metavar="ACTOR", help="this actor, may be repeated")
    parser.add_argument("--level", choices=LEVELS, help="level of measurement (default: what the question says)")
    parser.add_argument("--known-at", metavar="TIME", help="as we knew it then, ISO 8601 with zone")
    parser.add_argument("--valid-at", metavar="TIME", help="as had been said by then, ISO 8601 with zone")
    parser.add_argument("--window-days", type=int, default=30, help="days of one window of drift (default: 30)")
    parser.add_argument("--neighbours", metavar="NAME",
                        help="also look for labels far from those of the nearest things: by a question whose answers "
                             "are embeddings, or by `dhash`, the look of pictures")
    parser.add_argument("--neighbours-by", metavar="ACTOR", help="whose embeddings, where several gave some")
    parser.add_argument("--html", metavar="FILE", help="write the whole report there")


def execute(config: Config, args: argparse.Namespace) -> int:
    """Run the command."""
    from lakehouse.agreement.measure import agreement
    from lakehouse.agreement.page import page
    from lakehouse.opening import open_lake

    place = None if args.html is None else Path(args.html)
    if place is not None and not place.parent.is_dir():
        raise ConfigError(f"{place}: there is no folder {place.parent}")
    with open_lake(config) as lake:
        found = agreement(
            lake, question=args.question, reference=args.reference, kinds=args.kind, actors=args.actor,
            level=args.level, known_at=instant_of("--known-at", args.known_at),
            valid_at=instant_of("--valid-at", args.valid_at), window_days=args.window_days,
            neighbours=args.neighbours, neighbours_by=args.neighbours_by,
        )  # fmt: skip
    if place is not None:
        place.write_text(page(found), encoding="utf-8")
    if args.json:
        say_json(found.record())
    else:
        _say(found)
    return 0


def _say(found: Agreement) -> None:
    from lakehouse.agreement.page import figures

    say_table(["agreement", found.question], figures(found))
    for note in found.notes:
        say(f"note: {note}")
    say()
    say(f"actors, compared with: {found.reference}")
    busy = sorted(found.actors, key=lambda each: (-each.answers, each.actor))
    head = ["actor", "answers", "abstained", "compared", "accuracy", "unanimous", "seconds", "cost"]
    rows: list[list[object]] = [
        [each.actor, each.answers, each.abstained, each.compared, _told(each.accuracy), _told(each.unanimous),
         _told(each.seconds), _told(each.cost)]
        for each in busy[:SHOWN]
    ]  # fmt: skip
    say_table(head, rows)
    if len(busy) > SHOWN:
        say(f"and {len(busy) - SHOWN:,} more: --json or --html has all")
    if found.doubts:
        say()
        doubted = [[each.rule, each.item[:12], each.actor, each.score, each.text] for each in found.doubts[:SHOWN]]
        say_table(["candidate", "subject", "actor", "score", "what speaks against it"], doubted)
        more = len(found.doubts) - SHOWN + sum(found.doubts_left_out.values())
        if more > 0:
            say(f"and {more:,} more")


def _told(value: float | None) -> object:
    return "-" if value is None else f"{value:.4g}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
