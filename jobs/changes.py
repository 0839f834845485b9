"""Virtual datasets: what belongs to a task, as numbered changes that hold references and no bytes.

    petrel changes add trademarks --lake my_lake --source tm2 --message "second delivery" --tag spring
    petrel changes add trademarks --lake my_lake --sql "select entity_id from entities_wide where width > 500"
    petrel changes drop trademarks --lake my_lake --source tm2
    petrel changes revert trademarks 2 --lake my_lake        # later changes stay
    petrel changes list trademarks --lake my_lake

A recipe takes what the changes come to: `[changes]` with `of = "trademarks"`, and of these `only`, `without`, `tags`
or `upto`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from jobs.common import Verb, main_of, parameters
from jobs.output import say, say_json, say_table
from lakehouse.steps.receipts import Receipt

if TYPE_CHECKING:
    from lakehouse.lake import Lake

SHOWN = ("name", "number", "op", "reverts", "stands", "entities", "came", "went", "tags", "made_at", "message")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `petrel changes list` takes."""
    parser.add_argument("name", nargs="?", help="name of a virtual dataset (default: all)")


def run(lake: Lake, args: argparse.Namespace) -> Iterator[Receipt]:
    """List the changes."""
    from lakehouse.changes.reading import changes_of, rows_of

    rows = rows_of(lake, args.name)
    if args.name and not rows:
        changes_of(lake, args.name)
    for row in rows:
        if args.json:
            say_json(row)
        row.update((name, row["statistics"].get(name)) for name in ("entities", "came", "went"))
    if not args.json and rows:
        say_table(SHOWN, [[_text(row[name]) for name in SHOWN] for row in rows])
    elif not rows:
        say("no virtual dataset yet; make one with `petrel changes add NAME --source NAME`")
    return iter(())


def _text(value: object) -> object:
    return "" if value is None else " ".join(map(str, value)) if isinstance(value, list) else value


def _names(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="name of the virtual dataset; its first change makes it")
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument("--source", action="append", default=[], help="every entity of a source, as the lake is now")
    given.add_argument("--sql", default="", metavar="QUERY", help="one SELECT with entity_id; `$name` is a parameter")
    parser.add_argument("--param", action="append", default=[], metavar="NAME=VALUE", help="value of a parameter")
    parser.add_argument("--tag", action="append", default=[], help="name by which recipes choose changes")
    parser.add_argument("--message", default="", help="why, for people")


def _reverts(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="name of the virtual dataset")
    parser.add_argument("number", type=int, help="number of the change that is taken back")
    parser.add_argument("--message", default="", help="why, for people")


def _change(lake: Lake, args: argparse.Namespace, *, drop: bool) -> Receipt:
    from lakehouse.changes.recording import add_change

    return add_change(lake, args.name, sources=args.source, sql=args.sql, params=parameters(args.param), drop=drop,
                      message=args.message, tags=args.tag)  # fmt: skip


def _add(lake: Lake, args: argparse.Namespace) -> Receipt:
    return _change(lake, args, drop=False)


def _drop(lake: Lake, args: argparse.Namespace) -> Receipt:
    return _change(lake, args, drop=True)


def _revert(lake: Lake, args: argparse.Namespace) -> Receipt:
    from lakehouse.changes.recording import revert_change

    return revert_change(lake, args.name, args.number, message=args.message)


_WHAT = (__doc__ or "").partition("\n")[2]

ADD = Verb("Add entities to a virtual dataset.\n" + _WHAT, _names, _add)
DROP = Verb("Drop entities from a virtual dataset.\n" + _WHAT, _names, _drop)
REVERT = Verb("Take one change of a virtual dataset back.\n" + _WHAT, _reverts, _revert)


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
