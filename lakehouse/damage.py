"""Objects that were found damaged: whoever meets one marks it, and landing the same files again looks at it anew.

One empty file each, in `_runs/damaged/`. Removing the folder loses no data: whoever meets the damage marks it again.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path


def mark_damaged(root: str | Path, sha256: str) -> None:
    """Mark an object; a lake that may not be written to is told of in words alone."""
    with contextlib.suppress(OSError):
        folder = _folder(root)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / sha256).touch()


def marked_damaged(root: str | Path) -> frozenset[str]:
    """Return the SHA-256 of every object that is marked."""
    try:
        return frozenset(os.listdir(_folder(root)))
    except FileNotFoundError:
        return frozenset()


def unmark(root: str | Path, whole: Iterable[str]) -> None:
    """Take the marks of objects away that are whole again."""
    for sha256 in whole:
        (_folder(root) / sha256).unlink(missing_ok=True)


def _folder(root: str | Path) -> Path:
    return Path(root) / "_runs" / "damaged"
