"""A run that is killed: materialise one dataset of a lake, in a process of its own.

    python -m tests.datasets.victim <lake> <dataset>

Says `ready` when everything is imported, `done` when it came to its end.
"""

from __future__ import annotations

import sys

from lakehouse.materialise.step import materialise
from tests.making import small_lake


def main() -> None:
    """Run as a program."""
    root, dataset = sys.argv[1:]
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    with small_lake(root) as lake:
        materialise(lake, dataset)
    sys.stdout.write("done\n")


if __name__ == "__main__":
    main()
