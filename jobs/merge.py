"""Bring what another branch has to the branch that is open (main, unless --branch names another).

    petrel merge --lake my_lake relabel --list                 # what would have to be settled; nothing is written
    petrel merge relabel                                       # refuses if there is anything to settle
    petrel merge relabel --policy newest                       # or ours, theirs, or a function: my_rules:choose

All events of both sides are kept. Conflicts are the same actor's different answers to one question about one thing,
versions of one dataset name on both sides, and a label set or question that both sides changed. A run that was killed
is finished by the next command that opens the branch; where that says it cannot be, what was written is taken back:

    petrel merge --abandon
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jobs.common import main_of
from jobs.output import say, say_json, say_table
from lakehouse.config import Config
from lakehouse.errors import ConfigError, one_line
from lakehouse.steps.receipts import Receipt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lakehouse.lake import Lake
    from lakehouse.merging.conflicts import Settle


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this command takes."""
    parser.add_argument("other", nargs="?", default="", help="a branch, tag or commit")
    parser.add_argument(
        "--policy", default="fail", help="fail, ours, theirs, newest or MODULE:FUNCTION (default: fail)"
    )
    parser.add_argument("--message", "-m", default="", metavar="WHY", help="why, for people")
    parser.add_argument("--list", action="store_true", help="show the conflicts and write nothing")
    parser.add_argument("--abandon", action="store_true", help="take back a merge or revert that cannot be finished")


def check(args: argparse.Namespace, _: Config) -> None:
    """Check that it is said what to merge."""
    if bool(args.other) == args.abandon:
        raise ConfigError("petrel merge: name the branch, tag or commit to merge, or say --abandon; one of the two")


def run(lake: Lake, args: argparse.Namespace) -> Receipt | Iterator[Receipt]:
    """Run the step."""
    if args.abandon:
        from lakehouse.merging.abandoning import abandon

        return abandon(lake)
    from lakehouse.merging.conflicts import check_policy
    from lakehouse.merging.merge import conflicts_with, merge

    policy = _policy(args.policy)
    check_policy(policy)
    if not args.list:
        return merge(lake, args.other, policy=policy, message=args.message)
    found = conflicts_with(lake, args.other)
    if args.json:
        for each in found:
            say_json({"kind": each.kind, "table": each.table, "about": dict(each.about), "ours": list(each.ours),
                      "theirs": list(each.theirs)})  # fmt: skip
    elif found:
        say_table(["conflict", "what"], [[each.kind, str(each).partition(": ")[2]] for each in found])
    else:
        say("no conflict")
    return iter(())


def _policy(text: str) -> str | Settle:
    module, colon, name = text.partition(":")
    if not colon:
        return text
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # a program that was installed does not look there
    try:
        found: Settle = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"--policy {text}: there is no such function ({error})") from error
    except Exception as error:  # whatever somebody's module raises
        raise ConfigError(f"--policy {text}: {type(error).__name__}: {one_line(error)}") from error
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
