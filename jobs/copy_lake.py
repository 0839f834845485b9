"""Copy a lake to another folder or bucket: everything that belongs to it, compared with its hashes on the way.

    petrel copy-lake --lake my_lake --to s3://bucket/lake
    petrel copy-lake --lake s3://bucket/lake --to /backup/lake

Others may write to the lake meanwhile. A copy that was interrupted is no lake yet, and goes on when the same command is
run again; one that is finished is brought up to date, unless it was written to. Linked files stay where they are.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import replace

from jobs.common import main_of
from jobs.output import say, say_json
from lakehouse.config import Config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this command takes."""
    parser.add_argument(
        "--to",
        required=True,
        metavar="FOLDER|URL",
        help="where the copy is made: nothing is there, or an unfinished or older copy of this lake",
    )


def execute(config: Config, args: argparse.Namespace) -> int:
    """Run the command."""
    from lakehouse.care.copying import copy_lake
    from lakehouse.looking import looking
    from lakehouse.place import find_home

    target = find_home(replace(config, lake=replace(config.lake, root=args.to)))
    with looking(config) as lake:
        copied = copy_lake(lake, target)
        if args.json:
            say_json({"from": lake.home.address, **dataclasses.asdict(copied)})
        else:
            done = f"{copied.files:,} files, {copied.bytes:,} bytes" if copied.files else "nothing new"
            done += f", {copied.erased:,} erased ones removed" if copied.erased else ""
            say(f"{lake.home} -> {target}: {done}; {copied.held:,} files were there already")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
