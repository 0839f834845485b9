"""Show the commits of a lake, newest first, and what points at them.

    petrel log --lake my_lake
    petrel log relabel --limit 50          # of a branch, tag or commit
    petrel log --json
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jobs.common import main_of
from jobs.output import say, say_json, say_table
from lakehouse.config import Config
from lakehouse.errors import ConfigError

if TYPE_CHECKING:
    from lakehouse.commits.manifest import Commit

SHORT = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this command takes."""
    parser.add_argument("of", nargs="?", default="HEAD", help="a branch, tag, commit or {time} (default: HEAD)")
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="commits to show; 0: all (default: 20)")


def execute(config: Config, args: argparse.Namespace) -> int:
    """Run the command."""
    from lakehouse.commits.history import before
    from lakehouse.commits.naming import find_commit
    from lakehouse.commits.refs import branches, head_of, tags
    from lakehouse.place import find_home, require_lake

    if args.limit < 0:
        raise ConfigError(f"--limit {args.limit}: expected the number of commits to show, or 0 for all")
    home = find_home(config)
    require_lake(home)
    refs: dict[str, list[str]] = {}
    for name, line in branches(home).items():
        refs.setdefault(head_of(home, line) or "", []).append(name)
    for name, tag in tags(home).items():
        refs.setdefault(tag["commit"], []).append(f"tag {name}")
    rows = []
    found = before(home, find_commit(home, args.of))
    for commit in itertools.islice(found, args.limit or None):
        if args.json:
            say_json(dataclasses.asdict(commit) | {"refs": refs.get(commit.commit_id, [])})
            continue
        at = ", ".join(refs.get(commit.commit_id, ()))
        author = commit.author or ("" if commit.step else "-")
        rows.append([commit.commit_id[:SHORT], commit.made_at[:19].replace("T", " "), author, at, commit.message])
    if rows:
        say_table(["commit", "made at (UTC)", "author", "is", "message"], rows)
    if next(found, None) is not None and not args.json:
        sys.stderr.write(f"petrel: the newest {args.limit} commits are shown, there are more; --limit 0 shows all\n")
    return 0


def say_commit(commit: Commit, *, as_json: bool, was: Commit | None = None) -> None:
    """Print a commit: what it says, and its tables beside those of the commit before."""
    if as_json:
        say_json(dataclasses.asdict(commit))
        return
    facts = [["commit", commit.commit_id], ["branch", commit.branch], ["made at", commit.made_at],
             ["author", commit.author or "-"], ["message", commit.message],
             ["follows", ", ".join(each[:SHORT] for each in commit.parents) or "nothing"]]  # fmt: skip
    say_table(["", ""], facts)
    if was is not None:
        say()
        changed = [
            [name, was.tables[name].version if name in was.tables else "-", now.version,
             now.rows - (was.tables[name].rows if name in was.tables else 0)]
            for name, now in commit.tables.items()
            if name not in was.tables or was.tables[name].digest != now.digest
        ]  # fmt: skip
        if changed:
            say_table(["table", "version before", "version", "rows more"], changed)
        else:
            say("the tables are those of the commit before")


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
