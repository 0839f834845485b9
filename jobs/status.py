"""Show a lake: its tables with versions and rows, its datasets, marts and last runs. Reads logs, data of marts alone.

    petrel status --lake my_lake
    petrel status --since paper            # what changed since a commit, tag, branch or {time}
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from jobs.common import alone, main_of
from jobs.output import say, say_json, say_table
from lakehouse.config import Config
from lakehouse.place import find_home
from lakehouse.steps.receipts import Receipt, last

if TYPE_CHECKING:
    from lakehouse.status import MartStatus, TableStatus


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this command takes."""
    parser.add_argument("--runs", type=int, default=10, metavar="N", help="last runs to show (default: 10)")
    parser.add_argument("--since", metavar="COMMIT", help="show what changed since a commit, tag, branch or {time}")


def execute(config: Config, args: argparse.Namespace) -> int:
    """Run the command."""
    from lakehouse.status import mart_status, published, table_status

    if args.since:
        return _since(config, args)
    home = find_home(config)
    tables, folders, runs = table_status(home), published(home), last(home.files, limit=args.runs)
    marts = mart_status(home)
    if args.json:
        records = [dataclasses.asdict(each) for each in tables]
        steps = [dataclasses.asdict(run) for run in runs]
        rows = [dataclasses.asdict(each) for each in marts]
        say_json({"lake": home.address, "tables": records, "published": folders, "marts": rows, "runs": steps})
        return 0
    say(f"lake {home}")
    say()
    say_table(["table", "version", "rows", "last write", "by"], [_table_row(each) for each in tables])
    if folders:
        say()
        say_table(["published dataset", "version"], folders)
    if marts:
        say()
        say_table(["mart", "rows", "last run", "changed since", "one row is"], [_mart_row(each) for each in marts])
    if runs:
        say()
        say_table(["started", "step", "engine", "s", "new rows", "counts"], [_run_row(run) for run in runs])
    return 0


def _since(config: Config, args: argparse.Namespace) -> int:
    """Show the tables that are others than in a commit, and the commits since then."""
    from lakehouse.commits.history import before
    from lakehouse.commits.making import versions_now
    from lakehouse.commits.naming import find_commit, newest_commit
    from lakehouse.opening import open_lake

    with open_lake(alone(config)) as lake:
        since, newest, now = find_commit(lake.home, args.since), newest_commit(lake.home), versions_now(lake)
        older = {each.commit_id for each in before(lake.home, since)}
        commits = [each for each in before(lake.home, newest) if each.commit_id not in older]
    tables = [
        {"table": name, "version_before": was.version, "version": now[name].version,
         "rows_more": now[name].rows - was.rows,
         "committed": now[name].digest == newest.tables[name].digest}
        for name, was in since.tables.items() if was.digest != now[name].digest
    ]  # fmt: skip
    if args.json:
        say_json({"since": since.commit_id, "tables": tables, "commits": [each.commit_id for each in commits]})
        return 0
    say(f"since {since.commit_id[:8]} of {since.made_at[:19]}: {since.message}")
    say()
    if not tables:
        say("nothing changed")
        return 0
    said = [[*list(each.values())[:-1], "" if each["committed"] else "not committed yet"] for each in tables]
    say_table(["table", "version before", "version", "rows more", ""], said)
    say()
    say_table(["commit", "made at (UTC)", "message"], [
        [each.commit_id[:8], each.made_at[:19].replace("T", " "), each.message] for each in commits
    ])  # fmt: skip
    return 0


def _table_row(each: TableStatus) -> list[object]:
    return [each.table, each.version, each.rows, _when(each.written_at), each.step or "-"]


def _mart_row(each: MartStatus) -> list[object]:
    return [each.mart, each.rows, _when(each.ran_at), ", ".join(each.changed_since) or "-", each.doc]


def _run_row(run: Receipt) -> list[object]:
    counts = ", ".join(f"{name} {number:,}" for name, number in run.counts.items())
    return [_when(run.started_at), run.step, run.engine, run.seconds, run.rows_new, counts]


def _when(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
