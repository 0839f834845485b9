"""Check what this machine has and lacks: Python, packages, Java, Delta's archives, storage, free disk.

    petrel doctor --lake my_lake

Exit code 0: the embedded path works, whatever else is missing; 1: it does not.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jobs.common import EXIT_ERROR, main_of
from jobs.output import say_json, say_table
from lakehouse.config import Config
from lakehouse.place import find_home

if TYPE_CHECKING:
    from lakehouse.doctor import Check


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """This command takes nothing of its own."""


def execute(config: Config, args: argparse.Namespace) -> int:
    """Run the command."""
    from lakehouse.doctor import examine

    checks = examine(find_home(config))
    if args.json:
        say_json({"checks": [dataclasses.asdict(each) for each in checks]})
        return _code(checks)
    say_table(["check", "verdict", "found"], [[each.name, each.verdict, each.found] for each in checks])
    return _code(checks)


def _code(checks: Sequence[Check]) -> int:
    return EXIT_ERROR if any(each.verdict == "fail" for each in checks) else 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
