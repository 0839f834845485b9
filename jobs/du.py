"""Show what takes room in a lake: objects by source, media type and age, published datasets, tables, and old versions.

    petrel du --lake my_lake
    petrel du --lake s3://bucket/lake --json
"""

from __future__ import annotations

import argparse
import dataclasses
import shutil
import sys
from collections.abc import Sequence

from jobs.common import main_of
from jobs.output import say, say_json, say_table
from lakehouse.config import Config

HELD_ONCE = frozenset({"media type", "dataset", "table", "old versions", "log"})
"""Of these every file is told once: together they are what the lake takes."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this command takes: nothing of its own."""


def execute(config: Config, args: argparse.Namespace) -> int:
    """Run the command."""
    from lakehouse.care.usage import usage
    from lakehouse.opening import open_lake

    with open_lake(config) as lake:
        found = list(usage(lake))
        total = sum(each.bytes for each in found if each.by in HELD_ONCE)
        if args.json:
            for each in found:
                say_json(dataclasses.asdict(each))
            say_json({"lake": lake.home.address, "bytes": total})
            return 0
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        rows = [(each.by, each.name, each.files, each.bytes) for each in found]
        say_table(("by", "name", "files", "bytes"), rows, width=width)
        say(f"{lake.home}: {total:,} bytes; an object of several sources is told for each of them")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
