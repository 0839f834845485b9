"""Make an empty lake: a folder with the tables, ready for `petrel land`.

    petrel init --lake my_lake

The folder must be missing or empty, and lie in no other lake. Where there is a lake already, nothing is done; one
that was killed while it was made is completed. `petrel land` and `petrel run` make a missing lake too; no other
command does.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from jobs.common import main_of
from jobs.output import say, say_json
from lakehouse.config import Config
from lakehouse.place import find_home, is_lake


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """This command takes nothing of its own."""


def execute(config: Config, args: argparse.Namespace) -> int:
    """Run the command."""
    from lakehouse.opening import open_lake
    from schemas.tables import TABLES

    home = find_home(config)
    new = not is_lake(home)
    with open_lake(config, create=True):
        pass
    if args.json:
        say_json({"lake": home.address, "made": new, "tables": len(TABLES)})
    elif new:
        say(f"made a lake at {home} with {len(TABLES)} empty tables; next: petrel land --lake {home} --source NAME "
            "--folder FOLDER")
    else:
        say(f"there is a lake at {home} already; nothing to do")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
