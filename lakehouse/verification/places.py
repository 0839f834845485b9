"""Where a table, the record of its head and the notes about it are."""

from __future__ import annotations

import hashlib
import platform
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from schemas.model import Table

HEADS = "_heads"
NOTES = "verified"


@dataclass(frozen=True, slots=True)
class Place:
    """The paths that belong to one table.

    Attributes:
        name: Name of the table.
        folder: Its Delta folder.
        head: Record of its newest version, outside the folder: what is lost there is known here.
        notes: What this machine has verified of it.
    """

    name: str
    folder: Path
    head: Path
    notes: Path

    @property
    def log(self) -> Path:
        """Folder of the log."""
        return self.folder / "_delta_log"

    def entry(self, version: int) -> Path:
        """Return the log entry of a version."""
        return self.log / f"{version:020}.json"


def place_of(root: Path, table: Table) -> Place:
    """Return the paths of a table of a lake."""
    layer, _, name = table.name.partition(".")
    return Place(
        name=table.name,
        folder=root / "tables" / layer / name,
        head=root / HEADS / f"{table.name}.json",
        notes=notes_folder(root) / f"{table.name}.notes",
    )


def notes_folder(root: Path) -> Path:
    """Return the folder of what this machine has verified in a lake."""
    return root / "_runs" / NOTES / _machine()


@cache
def _machine() -> str:
    # A copy of the lake on another machine is other bytes, which nobody there has read yet.
    try:
        identity = Path("/etc/machine-id").read_text(encoding="utf-8").strip()
    except OSError:
        identity = ""
    return hashlib.sha256(f"{identity}|{platform.node()}".encode()).hexdigest()[:16]
