"""Look through a whole lake for what is damaged and what is too much, and say of each finding which command mends it.

    petrel fsck --lake my_lake
    petrel fsck --lake s3://bucket/lake --from /backup/lake        # the commands take bytes from that copy
    petrel fsck --lake my_lake --sample 1000                       # read so many objects, chosen by lot
    petrel fsck --lake my_lake --all                               # read every byte

What `petrel verify` looks for, and also: objects that no row points at, files of commits and of published versions
that were never finished, and published versions that no table tells of. Changes nothing. In a bucket objects are listed
by page, and asked for one by one only if they are read. Ends with 1 if there is a finding, with 0 if there is none.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from jobs.common import EXIT_ERROR, main_of
from jobs.output import say, say_json
from jobs.verify import verify
from lakehouse.audit.damage import Checked, Damage
from lakehouse.config import Config
from lakehouse.errors import ConfigError

if TYPE_CHECKING:
    from lakehouse.lake import Lake


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this command takes."""
    read = parser.add_mutually_exclusive_group()
    read.add_argument("--sample", type=int, default=0, metavar="N", help="read so many objects, chosen by lot")
    read.add_argument("--all", action="store_true", help="read every byte of objects, linked and published files")
    parser.add_argument(
        "--from",
        dest="copy",
        default="",
        metavar="FOLDER|URL",
        help="a copy of the lake, for the commands that are printed",
    )
    parser.add_argument(
        "--grace-days",
        type=float,
        default=7.0,
        metavar="DAYS",
        help="how long what nobody needs may be there before it is told (default: 7)",
    )


def execute(config: Config, args: argparse.Namespace) -> int:
    """Run the command."""
    from lakehouse.audit.commands import mending
    from lakehouse.looking import looking

    if args.sample < 0:
        raise ConfigError("--sample: expected 0 or more objects")
    if not args.grace_days >= 1:
        raise ConfigError("--grace-days: expected 1 day or more: what is younger may be on its way")
    checked, found = Checked(), 0
    with looking(config) as lake:
        for damage in fsck(lake, args, checked):
            found += 1
            command = mending(damage, lake=lake.home.address, copy=args.copy, grace_days=args.grace_days)
            if args.json:
                say_json({**dataclasses.asdict(damage), "command": command})
            else:
                say(str(damage))
                if command:
                    say(f"    {command}")
    if args.json:
        say_json({"lake": lake.home.address, "found": found, "checked": dict(checked.counts), "notes": checked.notes})
    else:
        for note in checked.notes:
            say(note)
        looked_at = ", ".join(f"{count:,} {kind}" for kind, count in checked.counts.items() if count)
        read = "" if args.all or args.sample else "; --sample N or --all read objects"
        say(f"{lake.home}: {f'{found:,} findings' if found else 'clean'}; looked at {looked_at}{read}")
    return EXIT_ERROR if found else 0


def fsck(lake: Lake, args: argparse.Namespace, checked: Checked) -> Iterator[Damage]:
    """Yield what is damaged, then what is too much."""
    from lakehouse.audit.surplus import surplus
    from lakehouse.audit.verify import Reading
    from lakehouse.care.orphans import listed_objects

    # Before the tables are read: what is landed meanwhile has its row then.
    listed = listed_objects(lake.home)
    reading = Reading(deep=args.all, sample=args.sample, seed=lake.clock().isoformat(), listed=listed)
    lost = False
    for damage in verify(lake, dataset=None, deep=args.all, checked=checked, reading=reading):
        lost = lost or damage.kind in ("lake", "table", "count")
        yield damage
    if lost:  # what a lost row pointed at looks like what nobody needs
        yield Damage("unchecked", "surplus", "orphans and leftovers: not looked for, because of damage in tables; mend "
                                             "that and look again")
        return
    yield from surplus(lake, listed, checked, grace=timedelta(days=args.grace_days))


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
