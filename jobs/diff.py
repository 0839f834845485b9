"""Show what differs between two commits or branches: what came on either side since what they have in common.

    petrel diff --lake my_lake relabel                      # against what is open: main
    petrel diff paper HEAD --table silver.opinions --rows
    petrel diff main relabel --html diff.html
    petrel sql "$(petrel diff main relabel --table silver.opinions --sql)"

It costs what changed, however much the lake holds. As SQL it is a query over whole tables, to be asked further.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.common import alone, main_of
from jobs.output import say, say_json, say_table
from lakehouse.config import Config
from lakehouse.errors import ConfigError

if TYPE_CHECKING:
    from lakehouse.commits.manifest import Commit
    from lakehouse.lake import Lake
    from lakehouse.merging.comparing import Difference


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this command takes."""
    parser.add_argument("one", help="a branch, tag, commit or {time}")
    parser.add_argument("other", nargs="?", default="HEAD", help="another one (default: HEAD)")
    parser.add_argument("--table", action="append", default=[], metavar="NAME", help="only this table; may be repeated")
    parser.add_argument("--rows", action="store_true", help="show the rows: as JSON, one a line, or in the page")
    parser.add_argument("--sql", action="store_true", help="print a query for the rows of the one --table")
    parser.add_argument("--html", metavar="FILE", type=Path, help="write a page: the summary, with --rows the rows too")


def execute(config: Config, args: argparse.Namespace) -> int:
    """Run the command."""
    from lakehouse.commits.naming import find_commit
    from lakehouse.merging.comparing import compare
    from lakehouse.names import nearest
    from lakehouse.opening import open_lake
    from schemas.tables import BY_NAME

    for name in args.table:
        if name not in BY_NAME:
            raise ConfigError(f"--table {name}: no table is called so{nearest(name, [*BY_NAME])}")
    if args.sql and (len(args.table) != 1 or args.rows or args.html):
        raise ConfigError("--sql: name one --table, whose rows the query is for; --rows and --html are other answers")
    with open_lake(alone(config)) as lake:
        one, other = (find_commit(lake.home, each) for each in (args.one, args.other))
        if args.sql:
            say(_query(lake, one, other, args.table[0]))
            return 0
        found = compare(lake, one, other, tables=args.table, columns=args.rows)
    if args.rows and args.html is None:
        _rows(found)
        return 0
    rows = [[getattr(args, each.side), each.table, each.what, each.added, each.removed, each.superseded]
            for each in found.summary()]  # fmt: skip
    head = ["side", "table", "of", "added", "removed", "superseded"]
    if args.html is not None:
        from lakehouse.merging.page import difference_page

        args.html.write_text(difference_page(found, head, rows, detailed=args.rows), encoding="utf-8")
    if args.json:
        for each in found.summary():
            say_json(dataclasses.asdict(each) | {"ancestor": found.ancestor.commit_id})
    elif rows:
        say(f"since {found.ancestor.commit_id[:8]} of {found.ancestor.made_at[:19]}: {found.ancestor.message}")
        say_table(head, rows)
    else:
        say("no difference")
    return 0


def _query(lake: Lake, one: Commit, other: Commit, table: str) -> str:
    from lakehouse.commits.history import common_ancestor
    from lakehouse.merging.query import difference_query

    ancestor = common_ancestor(lake.home, one, other)
    if ancestor is None:
        raise ConfigError(f"commits {one.commit_id[:8]} and {other.commit_id[:8]} have no commit in common")
    return difference_query(ancestor, one, other, table)


def _rows(found: Difference) -> None:
    for side, tables in (("one", found.ones), ("other", found.others)):
        for name, each in tables.items():
            for change, rows in (("removed", each.removed), ("added", each.added)):
                for batch in rows.to_batches(max_chunksize=1000):
                    for row in batch.to_pylist():
                        say_json({"side": side, "table": name, "change": change, "row": row})


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
