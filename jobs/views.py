"""Save questions in SQL under names that other questions read as views.

    petrel views save unsure "select subject_id as entity_id, confidence from current_opinions where confidence < 0.6"
    petrel sql "select count(*) as n from unsure"
    petrel views --lake my_lake                      # all; `petrel views show unsure` prints its text
    petrel views drop unsure

Views are data of the lake: branches have their own, and a commit reads those that it had. Saving one again gives the
name another text; what it stood for stays in the table `gold.saved_views`. In a recipe a saved view is refused: its
text could change. `petrel materialise --query` and `create dataset` write the text into the recipe.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from jobs.common import Verb, main_of
from jobs.output import say, say_json, say_lines, say_rows
from lakehouse.steps.receipts import Receipt

if TYPE_CHECKING:
    from lakehouse.lake import Lake

SHOWN = ("name", "doc", "saved_at", "saved_by", "sql")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `petrel views list` takes."""


def run(lake: Lake, args: argparse.Namespace) -> Iterator[Receipt]:
    """Show the views that hold."""
    from lakehouse.sql.saving import saved_views

    rows = [row for row in saved_views(lake) if row["holds"]]
    none = "no saved view yet; `petrel views save NAME SQL` saves one, `petrel sql --views` lists Petrel's own"
    say_rows(SHOWN, rows, as_json=args.json, none=none)
    return iter(())


def _arguments_of_save(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="small letters, digits and _")
    parser.add_argument("query", help="one SELECT without parameters; - reads it from stdin")
    parser.add_argument("--doc", default="", metavar="TEXT", help="what one row is, for people")


def _save(lake: Lake, args: argparse.Namespace) -> Receipt:
    from lakehouse.sql.saving import save_view

    text = sys.stdin.read() if args.query == "-" else args.query
    return save_view(lake, args.name, text, doc=args.doc)


def _arguments_of_name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="the view")


def _show(lake: Lake, args: argparse.Namespace) -> Iterator[Receipt]:
    from lakehouse.sql.saving import saved_views

    rows = saved_views(lake, args.name)
    if args.json:
        for row in rows:
            say_json(row)
    else:
        for row in rows:
            told = "" if row["holds"] else " (no longer)"
            say(f"-- {row['name']} {row['ordinal']}, {row['saved_at']:%Y-%m-%d %H:%M:%S} UTC{told}")
            say_lines("-- dropped" if row["sql"] is None else row["sql"] + ";")
    return iter(())


def _drop(lake: Lake, args: argparse.Namespace) -> Receipt:
    from lakehouse.sql.saving import drop_view

    return drop_view(lake, args.name)


_WHAT = (__doc__ or "").partition("\n")[2]

SAVE = Verb("Save a question in SQL under a name.\n" + _WHAT, _arguments_of_save, _save)
SHOW = Verb("Print the text of a saved view, and what it was before.\n" + _WHAT, _arguments_of_name, _show)
DROP = Verb("Have a name stand for nothing any more.\n" + _WHAT, _arguments_of_name, _drop)


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
