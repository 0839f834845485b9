"""Objects that were found damaged: whoever meets one marks it, and landing the same files again looks at it anew.

One empty file each, in `_runs/damaged/`. Removing the folder loses no data: whoever meets the damage marks it again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

from lakehouse.home import Root, home_of

MARKS = "_runs/damaged"


def mark_damaged(root: Root, sha256: str) -> None:
    """Mark an object; a lake that may not be written to is told of in words alone."""
    with contextlib.suppress(OSError):
        home_of(root).files.put(f"{MARKS}/{sha256}", b"")


def marked_damaged(root: Root) -> frozenset[str]:
    """Return the SHA-256 of every object that is marked."""
    return frozenset(each.name.rpartition("/")[2] for each in home_of(root).files.list(MARKS))


def unmark(root: Root, whole: Iterable[str]) -> None:
    """Take the marks of objects away that are whole again."""
    for sha256 in whole:
        home_of(root).files.delete(f"{MARKS}/{sha256}")
