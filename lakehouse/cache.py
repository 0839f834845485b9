"""The folder in the user's cache where Petrel keeps what it can make or fetch again."""

from __future__ import annotations

import os
import time
from pathlib import Path

UNUSED_S = 30 * 24 * 3600
"""Entries that nobody used for so long are removed when a new one is made."""


def cache_root() -> Path:
    """Return the folder: `PETREL_CACHE`, else `petrel` in `XDG_CACHE_HOME`, else `~/.cache/petrel`; may be missing."""
    own = os.environ.get("PETREL_CACHE")
    return Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "petrel"


def mark_used(path: Path) -> None:
    """Note that a file is in use, so that `remove_unused` keeps it."""
    try:
        os.utime(path)
    except OSError:
        pass  # somebody else's cache; reading is enough


def remove_unused(folder: Path, pattern: str) -> None:
    """Remove the files that nobody used for 30 days."""
    for path in folder.glob(pattern):
        if time.time() - path.stat().st_mtime > UNUSED_S:
            path.unlink(missing_ok=True)
