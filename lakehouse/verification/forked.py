"""Which tables a branch of a lake in a bucket has for itself, and where it began: asked of the bucket, and remembered.

In a folder a look at the table's first entry tells. Of a bucket the copy on this machine may not know yet what another
machine did: whoever is about to write, or opens the branch, has the bucket asked again.
"""

from __future__ import annotations

import os
from functools import lru_cache

from lakehouse.files import write_whole
from lakehouse.home import Home, forget_homes
from lakehouse.lines import BRANCH, line_folder

HEADS = "_heads"
"""Folder, of each line, of the records of its tables' newest versions."""


def keep_branch_here(shared: Home, line: int) -> None:
    """Have this machine's copy of a lake in a bucket know where a branch began; nothing happens if there is none."""
    here = shared.folder / line_folder(line) / BRANCH
    if here.is_file() and _is_known(shared, line, os.getpid()):
        return
    _is_known.cache_clear()
    try:
        told = shared.files.read_whole(f"{line_folder(line)}/{BRANCH}")
    except FileNotFoundError:
        here.unlink(missing_ok=True)  # it was freed
    else:
        here.parent.mkdir(parents=True, exist_ok=True)
        write_whole(here, told)
    forget_homes()


def has_table(home: Home, table_name: str) -> bool:
    """Say whether a branch of a lake in a bucket has a table for itself, as far as this process knows."""
    return table_name in _forked(home, os.getpid())


def ask_again(home: Home) -> None:
    """Forget which tables branches have: another machine may have written since."""
    if not home.is_local:
        _forked.cache_clear()


# The record of a table's head is the last that a fork writes.
@lru_cache(maxsize=256)
def _forked(home: Home, process: int) -> frozenset[str]:
    return frozenset(each.name.removeprefix(f"{HEADS}/").removesuffix(".json") for each in home.files.list(HEADS))


@lru_cache(maxsize=1024)
def _is_known(shared: Home, line: int, process: int) -> bool:
    try:
        shared.files.stat(f"{line_folder(line)}/{BRANCH}")
    except FileNotFoundError:
        return False
    return True
