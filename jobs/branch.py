"""Make, show and delete branches: isolated writes on the same lake, without a copy.

    petrel branch --lake my_lake relabel                # begins at what the lake has now
    petrel branch relabel2 @paper                       # at a tag, commit, {time} or another branch's newest commit
    petrel branch                                       # shows the branches
    petrel opinions import --branch relabel ...         # every command works on a branch
    petrel branch --delete relabel

Which branch a command works on is said by --branch, or for a whole shell by `eval "$(petrel checkout relabel)"`.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence

from jobs.common import alone, main_of
from jobs.output import say, say_json, say_table
from lakehouse.config import Config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this command takes."""
    parser.add_argument("name", nargs="?", help="name of the branch (default: show all)")
    parser.add_argument("at", nargs="?", default="HEAD", help="where it begins (default: what the lake has now)")
    parser.add_argument("--delete", action="store_true", help="delete it; `petrel maintain` frees what only it has")
    parser.add_argument("--unmerged", action="store_true", help="delete it also where main lacks its commits")


def execute(config: Config, args: argparse.Namespace) -> int:
    """Run the command."""
    from lakehouse.commits.branching import branch_list, delete_branch, make_branch
    from lakehouse.opening import open_lake

    with open_lake(alone(config)) as lake:
        if args.name and args.delete:
            delete_branch(lake, args.name, unmerged=args.unmerged)
            if args.json:
                say_json({"deleted": args.name})
            else:
                say(f"branch {args.name} is deleted; `petrel maintain` frees what only it has")
            return 0
        if args.name:
            made = make_branch(lake, args.name, args.at)
            if args.json:
                say_json(dataclasses.asdict(made))
            else:
                say(f"branch {made.name} begins at {made.began_at[:8]}; work on it with --branch {made.name}")
            return 0
        found = list(branch_list(lake.home))
        here = lake.home.branch
    if args.json:
        for each in found:
            say_json(dataclasses.asdict(each))
        return 0
    say_table(["", "branch", "newest commit", "made at (UTC)", "began at", "tables of its own", "message"], [
        ["*" if each.name == here else "", each.name, each.newest.commit_id[:8] if each.newest else "-",
         each.newest.made_at[:19].replace("T", " ") if each.newest else "-", each.began_at[:8], each.tables,
         each.newest.message if each.newest else ""] for each in found
    ])  # fmt: skip
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
