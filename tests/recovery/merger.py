"""The victim of the tests that kill merges: `python -m tests.recovery.merger ROOT VERB`, which says when it begins."""

from __future__ import annotations

import sys

from lakehouse.commits.branching import delete_branch, make_branch
from lakehouse.config import load_config
from lakehouse.lake import Lake
from lakehouse.merging.merge import merge, revert
from lakehouse.opening import open_lake

WRONG = "wrong"
"""Tag of the commit that is reverted."""


def change(lake: Lake, verb: str) -> None:
    """Merge, revert, make a branch or delete one."""
    if verb == "merge":
        merge(lake, "relabel", policy="newest")
    elif verb == "revert":
        revert(lake, WRONG)
    elif verb == "branch":
        make_branch(lake, "new")
    else:
        delete_branch(lake, "relabel", unmerged=True)


def main() -> None:
    """Open the lake, say so, and change it."""
    root, verb = sys.argv[1:]
    settings = [f'lake.root="{root}"', "engine.workers=1"]
    with open_lake(load_config(overrides=settings, environ={})) as lake:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        change(lake, verb)


if __name__ == "__main__":
    main()
