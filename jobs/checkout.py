"""Have all commands of a shell work on a branch, or read a commit.

    eval "$(petrel checkout relabel)"
    eval "$(petrel checkout @paper)"          # to read what the tag names
    eval "$(petrel checkout main)"

It prints the setting of the environment that says so (PETREL__LAKE__BRANCH), and changes nothing by itself: a lake has
no current branch, and one window never changes it for another.
"""

from __future__ import annotations

import argparse
import dataclasses
import shlex
import sys
from collections.abc import Sequence

from jobs.common import main_of
from jobs.output import say, say_json
from lakehouse.config import Config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this command takes."""
    parser.add_argument("name", help="a branch; @COMMIT, @TAG or @{TIME} to read")


def execute(config: Config, args: argparse.Namespace) -> int:
    """Run the command."""
    from lakehouse.place import find_home, require_lake

    home = find_home(dataclasses.replace(config, lake=dataclasses.replace(config.lake, branch=args.name)))
    require_lake(home)
    if args.json:
        say_json({"branch": args.name, "may_write": not home.read_only})
    else:
        say(f"export PETREL__LAKE__BRANCH={shlex.quote(args.name)}")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
