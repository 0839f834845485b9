"""Where a table, the record of its head and the notes about it are."""

from __future__ import annotations

import hashlib
import platform
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from lakehouse.home import Home, Root, home_of
from schemas.model import Table

HEADS = "_heads"
NOTES = "verified"


@dataclass(frozen=True, slots=True)
class Place:
    """Where what belongs to one table is.

    Attributes:
        home: Where the lake is.
        name: Name of the table.
        folder: Its Delta folder.
        head: Record of its newest version, outside the folder: what is lost there is known here.
        notes: What this machine has verified of it.
    """

    home: Home
    name: str
    folder: Path
    head: Path
    notes: Path

    @property
    def head_name(self) -> str:
        """Name of the record of its head among the files of the lake."""
        return f"{HEADS}/{self.name}.json"

    @property
    def folder_name(self) -> str:
        """Name of its Delta folder among the files of the lake."""
        layer, _, name = self.name.partition(".")
        return f"tables/{layer}/{name}"

    @property
    def log_name(self) -> str:
        """Name of the folder of its log among the files of the lake."""
        return f"{self.folder_name}/_delta_log"

    @property
    def log(self) -> Path:
        """Folder of the log."""
        return self.folder / "_delta_log"

    def entry(self, version: int) -> Path:
        """Return the log entry of a version."""
        return self.log / f"{version:020}.json"


def place_of(root: Root, table: Table) -> Place:
    """Return the places of a table of a lake."""
    home = home_of(root)
    layer, _, name = table.name.partition(".")
    return Place(
        home=home,
        name=table.name,
        folder=home.folder / "tables" / layer / name,
        head=home.folder / HEADS / f"{table.name}.json",
        notes=notes_folder(home.folder) / f"{table.name}.notes",
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
