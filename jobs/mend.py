"""Mend what `petrel fsck` found: damaged and missing files get their bytes back, or are made again.

    petrel mend --lake my_lake --from s3://bucket/copy                        # everything that is damaged
    petrel mend --lake my_lake --from /backup/lake --only silver.entities     # one table
    petrel mend --lake my_lake --only 9f86d081...                             # one object, or linked file
    petrel mend --lake my_lake --only digits/b057400f...                      # one published version

A file is taken only if it has the SHA-256 that the lake knows it by. Objects are also taken from the files that were
landed, where these are still there; a linked file that is missing is written where it was; a published version is
published again where no copy is given. Ends with 1 if something could not be mended.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from jobs.common import EXIT_ERROR, main_of
from jobs.output import say, say_json, say_receipt
from jobs.verify import verify
from lakehouse.audit.commands import BY_MEND
from lakehouse.audit.damage import Checked
from lakehouse.config import Config

if TYPE_CHECKING:
    from lakehouse.lake import Lake
    from lakehouse.mending.mended import Mended


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this command takes."""
    parser.add_argument(
        "--from",
        dest="copy",
        default="",
        metavar="FOLDER|URL",
        help="a copy of the lake, from which files are taken that have the right hash",
    )
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="WHAT",
        help="a table, an id of an entity, or NAME/ID of a published version; may be repeated",
    )
    parser.add_argument(
        "--deep",
        action="store_true",
        help="without --only: also read every byte of objects and published files to find damage",
    )


def execute(config: Config, args: argparse.Namespace) -> int:
    """Run the command."""
    from lakehouse.looking import looking
    from lakehouse.mending.mend import PUBLISHED
    from lakehouse.mending.published import withdraw
    from lakehouse.mending.tables import forget_copy
    from lakehouse.place import find_home
    from schemas.tables import BY_NAME

    again: list[str] = []
    failed = False
    with ExitStack() as opened:
        lake = opened.enter_context(looking(config))
        copy = None
        if args.copy:
            copy = opened.enter_context(looking(replace(config, lake=replace(config.lake, root=args.copy))))
        for what in args.only or _damaged(lake, deep=args.deep):
            if copy is None and PUBLISHED.fullmatch(what):
                withdraw(lake, what)
                again.append(what)
                continue
            for mended in _mended(lake, what, copy):
                failed = failed or not mended.is_done
                if args.json:
                    say_json(dataclasses.asdict(mended))
                else:
                    say(str(mended))
            if what in BY_NAME:
                forget_copy(find_home(config), BY_NAME[what])
    _publish(config, again, as_json=args.json)
    return EXIT_ERROR if failed else 0


def _mended(lake: Lake, what: str, copy: Lake | None) -> Iterator[Mended]:
    from lakehouse.mending.mend import mend

    return mend(lake, what, copy)


def _damaged(lake: Lake, *, deep: bool) -> Iterator[str]:
    """Yield what is damaged, each once; tables first, and what only whole tables tell of after they are mended."""
    told: set[str] = set()
    while True:
        found = [each for each in verify(lake, dataset=None, deep=deep, checked=Checked()) if each.kind in BY_MEND]
        new = list(dict.fromkeys(each.what for each in found if each.what not in told))
        if not new:
            return
        told.update(new)
        yield from new


def _publish(config: Config, again: Sequence[str], *, as_json: bool) -> None:
    from lakehouse.materialise.step import materialise
    from lakehouse.opening import open_lake

    if again:
        with open_lake(config) as lake:
            for what in again:
                say_receipt(materialise(lake, what.rpartition("/")[2]), as_json=as_json)


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
