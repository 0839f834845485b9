"""Commit the whole lake: remember which versions its tables have together, and why.

    petrel commit --lake my_lake --message "labels of March are in"

Every step that changes something commits by itself (lake.commit_steps); a commit that somebody asked for is kept
readable for good, as a tag is. `petrel log` shows them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from jobs.common import alone, main_of
from jobs.log import say_commit
from lakehouse.config import Config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this command takes."""
    parser.add_argument("--message", "-m", required=True, metavar="WHY", help="why, for people")


def execute(config: Config, args: argparse.Namespace) -> int:
    """Run the command."""
    from lakehouse.commits.making import commit
    from lakehouse.opening import open_lake

    with open_lake(alone(config)) as lake:
        made = commit(lake, args.message)
    say_commit(made, as_json=args.json)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
