"""Keep a lake healthy: put small files of tables together, write checkpoints, remove what nobody needs any more.

    petrel maintain --lake my_lake
    petrel maintain --lake my_lake --dry-run                       # what would be removed
    petrel maintain --lake my_lake --grace-days 1 --table silver.opinions
    petrel maintain --lake my_lake --pin paper-2026 --table silver.opinions=41 --table silver.entities
    petrel maintain --lake my_lake --orphans --dry-run             # objects that no row points at, what kills left
    petrel maintain --lake my_lake --orphans                       # removes what the dry run showed
    petrel maintain --lake my_lake --pins; petrel maintain --lake my_lake --unpin paper-2026

No row changes. A version of a table that a dataset version or a pin names stays readable: the files that only it needs
are kept, and the receipt says for whom. Other old versions can be read no more once their files were put together and
removed. Writers may work at the same time; with --orphans nobody should be landing the very files that it removes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from jobs.common import main_of
from jobs.output import say, say_json
from lakehouse.errors import ConfigError, TableNotFoundError
from lakehouse.names import nearest
from lakehouse.steps.receipts import Receipt

if TYPE_CHECKING:
    from lakehouse.care.pins import Pin
    from lakehouse.lake import Lake


MOST_DAYS = 36_500


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this step takes."""
    parser.add_argument("--table", action="append", default=[], metavar="NAME[=VERSION]",
                        help="only this table; with --pin, the table, and version, to keep (default: the newest)")
    parser.add_argument("--grace-days", type=float, default=7.0, metavar="DAYS",
                        help="how long a file that nobody needs stays (default: 7)")
    parser.add_argument("--keep-runs-days", type=float, default=365.0, metavar="DAYS",
                        help="how long receipts and notes of runs stay (default: 365)")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
    parser.add_argument("--orphans", action="store_true",
                        help="remove objects that no row points at, and what killed writers left; after --dry-run")
    pins = parser.add_mutually_exclusive_group()
    pins.add_argument("--pins", action="store_true", help="show the pins of people, and do nothing else")
    pins.add_argument("--pin", metavar="NAME", help="keep versions of the tables of --table readable")
    pins.add_argument("--unpin", metavar="NAME", help="remove a pin")
    parser.add_argument("--until", metavar="TIME", help="with --pin: when it ends, ISO 8601, UTC (default: never)")


def run(lake: Lake, args: argparse.Namespace) -> Iterator[Receipt]:
    """Maintain a lake, or change and show what is pinned."""
    from lakehouse.care.maintain import maintain
    from lakehouse.care.pins import pins_of_people, remove_pin, set_pin
    from schemas.tables import BY_NAME

    tables = dict(map(_table, args.table))
    if len(tables) < len(args.table):
        raise ConfigError("--table: a table is named twice; name each once")
    for name in tables:
        if name not in BY_NAME:
            raise TableNotFoundError(f"--table {name}: no such table{nearest(name, BY_NAME)}")
    _check(args, tables)
    if args.orphans:
        _orphans(lake, timedelta(days=args.grace_days), dry_run=args.dry_run, as_json=args.json)
    elif args.pins:
        for pin in pins_of_people(lake):
            _say(pin, as_json=args.json)
    elif args.pin is not None:
        _say(set_pin(lake, args.pin, tables, until=_time(args.until)), as_json=args.json)
    elif args.unpin is not None:
        remove_pin(lake, args.unpin)
        say(f"pin {args.unpin}: removed")
    else:
        stated = [name for name, version in tables.items() if version is not None]
        if stated:
            raise ConfigError(f"--table {stated[0]}={tables[stated[0]]}: a version is for --pin")
        yield maintain(
            lake, tables=list(tables), grace=timedelta(days=args.grace_days),
            keep_runs=timedelta(days=args.keep_runs_days), dry_run=args.dry_run,
        )  # fmt: skip


def _orphans(lake: Lake, grace: timedelta, *, dry_run: bool, as_json: bool) -> None:
    from lakehouse.care.orphans import check_grace, found_unneeded, remove_unneeded, show_unneeded

    check_grace(grace)
    found = found_unneeded(lake, grace=grace)
    if dry_run:
        show_unneeded(lake, found)
    else:
        found = remove_unneeded(lake, found)
    for each in found:
        if as_json:
            say_json({"orphan": each.name, "bytes": each.size, "removed": not dry_run})
        else:
            say(f"{'would remove' if dry_run else 'removed'} {each.name} ({each.size:,} bytes)")
    if not as_json:
        total = sum(each.size for each in found)
        say(f"{lake.home}: {len(found):,} orphans, {total:,} bytes{', nothing was removed' if dry_run else ''}")


def _check(args: argparse.Namespace, tables: Mapping[str, int | None]) -> None:
    """Refuse options that mean nothing together: none of them may be passed over."""
    about_pins = args.pins or args.pin is not None or args.unpin is not None
    if args.until is not None and args.pin is None:
        raise ConfigError("--until is for --pin: when that ends")
    if about_pins and (args.dry_run or args.orphans):
        raise ConfigError("--dry-run and --orphans go with no pin: pins are set and removed at once")
    if tables and (args.orphans or args.pins or args.unpin is not None):
        raise ConfigError("--table goes with maintaining and with --pin alone")
    for name, days in (("--grace-days", args.grace_days), ("--keep-runs-days", args.keep_runs_days)):
        if not 0 <= days <= MOST_DAYS:
            raise ConfigError(f"{name} {days:g}: expected 0 or more days, {MOST_DAYS:,} at most")


def _table(text: str) -> tuple[str, int | None]:
    name, separator, version = text.partition("=")
    if separator and not (version.isascii() and version.isdecimal()):
        raise ConfigError(f"--table {text}: expected NAME or NAME=VERSION, a number")
    return name, int(version) if separator else None


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"--until {text}: expected a time like 2027-01-31 or 2027-01-31T12:00:00+00:00") from None
    utc = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    if utc <= datetime.now(UTC):
        raise ConfigError(f"--until {text}: is over already; give a time to come")
    return utc


def _say(pin: Pin, *, as_json: bool) -> None:
    until = None if pin.until is None else pin.until.isoformat()
    if as_json:
        say_json({"pin": pin.name.removeprefix("pin "), "tables": dict(pin.tables), "until": until})
        return
    versions = ", ".join(f"{table}@{version}" for table, version in sorted(pin.tables.items()))
    say(f"{pin.name}: {versions}" + ("" if until is None else f"; until {until}"))


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
