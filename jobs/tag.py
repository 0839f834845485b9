"""Name a commit of the whole lake for good, and show the names.

    petrel tag --lake my_lake paper --message "what the paper stands on"
    petrel tag paper 3f2c91                # another commit than the newest
    petrel tag                             # shows the tags
    petrel tag --delete paper

What a tag names stays readable, whatever `petrel maintain` removes. `petrel dataset tag` names a version of a dataset.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from jobs.common import alone, main_of
from jobs.output import say, say_json, say_table
from lakehouse.config import Config
from lakehouse.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this command takes."""
    parser.add_argument("name", nargs="?", help="name of the tag (default: show all)")
    parser.add_argument("commit", nargs="?", default="HEAD", help="branch, commit or {time} (default: HEAD)")
    parser.add_argument("--message", "-m", default="", metavar="WHY", help="why, for people")
    parser.add_argument("--delete", action="store_true", help="delete the tag; the commit stays")


def execute(config: Config, args: argparse.Namespace) -> int:
    """Run the command."""
    from lakehouse.commits.refs import TAGS, delete_ref, tags
    from lakehouse.commits.tagging import tag_commit
    from lakehouse.opening import open_lake

    with open_lake(alone(config)) as lake:
        if args.name and args.delete:
            if args.name not in tags(lake.home):
                raise ConfigError(f"no tag `{args.name}` in {lake.home}; `petrel tag` shows them")
            delete_ref(lake.home, TAGS, args.name)
            if args.json:
                say_json({"deleted": args.name})
            else:
                say(f"tag {args.name} is deleted; its commit stays, and keeps its files no longer by this name")
            return 0
        if args.name:
            record = tag_commit(lake, args.name, args.commit, message=args.message)
            _say({args.name: record}, as_json=args.json)
            return 0
        found = tags(lake.home)
    if found or args.json:
        _say(found, as_json=args.json)
    else:
        say("no tag yet; set one with `petrel tag NAME [COMMIT]`")
    return 0


def _say(found: dict[str, dict[str, object]], *, as_json: bool) -> None:
    if as_json:
        for name, each in found.items():
            say_json({"tag": name} | each)
        return
    names = ("commit", "made_at", "author", "message")
    say_table(["tag", *names], [[name, *(str(each[key]) for key in names)] for name, each in found.items()])


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
