"""Print or write the card of a dataset version: what is in it, from whom, what is missing, how to load it.

    petrel dataset card --lake my_lake digits                              # Markdown, to the terminal
    petrel dataset card --lake my_lake digits@paper --html card.html --md card.md
    petrel dataset card --lake my_lake digits --beside                     # into the published folder

The page needs no network. The same version gives the same bytes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from jobs.common import main_of
from jobs.output import say, say_json, say_lines
from lakehouse.config import Config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this command takes."""
    parser.add_argument("dataset", help="name of a dataset, for the version built last, an id, or NAME@TAG")
    parser.add_argument("--html", metavar="FILE", type=Path, help="write it as one page that needs no network")
    parser.add_argument("--md", metavar="FILE", type=Path, help="write it as Markdown")
    parser.add_argument("--beside", action="store_true",
                        help="write _card.html and _card.md into the folder of the version, which must be published")


def execute(config: Config, args: argparse.Namespace) -> int:
    """Run the command."""
    from lakehouse.cards.facts import card_of
    from lakehouse.cards.page import card_markdown
    from lakehouse.cards.writing import write_beside, write_card
    from lakehouse.opening import open_lake

    with open_lake(config) as lake:
        card = card_of(lake, args.dataset)
        written = [*map(str, write_card(card, html=args.html, markdown=args.md))]
        written += write_beside(lake, card) if args.beside else []
    if args.json:
        say_json(card.record() | {"written": written})
    elif written:
        say(f"card of {card.version.version.name} {card.version.dataset_id}: {', '.join(written)}")
    else:
        say_lines(card_markdown(card))
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
