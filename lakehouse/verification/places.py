"""Where a table, the record of its head and the notes about it are."""

from __future__ import annotations

import hashlib
import platform
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path

from lakehouse.errors import VersionUnavailableError
from lakehouse.home import Home, Root, home_of
from lakehouse.lines import MAIN, line_folder, parted
from lakehouse.verification.forked import HEADS, ask_again, has_table, keep_branch_here
from schemas.model import Table

NOTES = "verified"


@dataclass(frozen=True, slots=True)
class Place:
    """Where what belongs to one table is.

    Attributes:
        home: Where the lake is.
        name: Name of the table.
        folder: Its Delta folder.
        log: Folder of its log.
        head: Record of its newest version, outside the folder: what is lost there is known here.
        notes: What this machine has verified of it.
        pinned: The version that counts as the newest; None: that which is.
    """

    home: Home
    name: str
    folder: Path
    log: Path
    head: Path
    notes: Path
    pinned: int | None = None

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

    def entry(self, version: int) -> Path:
        """Return the log entry of a version."""
        return self.log / f"{version:020}.json"


def place_of(root: Root, table: Table) -> Place:
    """Return the places of a table of a lake; of a branch that never wrote it, those of the line that it began on."""
    home = home_of(root)
    own = _own(home, table)
    if home.read_only or (home.main is not None and not _is_there(home, own)):
        number = dict(home.pins).get(table.name)
        if number is not None:
            place, version = place_at(home, table, number)
            return replace(place, pinned=version)
    return own


def _is_there(home: Home, own: Place) -> bool:
    """Say whether a branch has a table for itself."""
    # Hard-linked last of all: the first entry says so.
    return own.entry(0).is_file() or (not home.is_local and has_table(home, own.name))


def place_at(root: Root, table: Table, number: int) -> tuple[Place, int]:
    """Return the places of the line that a version is of, and the version as Delta counts it.

    Raises:
        VersionUnavailableError: If it is of a branch that is gone.
    """
    home = home_of(root)
    line, version = parted(number)
    if line == 0:
        return place_of(home, table), version
    there = line_home(home, line)
    place = place_of(there, table)
    if place.home.line != line and not home.is_local:
        ask_again(there)  # another machine may have written it since
        place = place_of(there, table)
    if place.home.line != line:
        # Its table is gone, and what it began on has other rows under this number.
        raise _gone(home, line)
    return place, version


def line_home(home: Home, line: int) -> Home:
    """Return the home of another line of the same lake, or this one.

    Raises:
        VersionUnavailableError: If it was a branch that is gone.
    """
    if line == home.line and not home.read_only:
        return home
    if line == MAIN:
        return home.shared
    if not home.is_local:
        keep_branch_here(home.shared, line)
    found = home_of(home.shared.folder / line_folder(line))
    if found.line != line:
        raise _gone(home, line)
    return replace(found, stores=home.stores, main=home.shared)


def _gone(home: Home, line: int) -> VersionUnavailableError:
    return VersionUnavailableError(
        f"line {line} of the lake {home.shared}: it was a branch, which was deleted, and `petrel maintain` freed what "
        "only it had, or which `petrel copy-lake` left; tags keep what they name"
    )


def own_place(root: Root, table: Table) -> Place:
    """Return the places that a table of this very line has, or will have once the line writes it."""
    return _own(home_of(root), table)


def _own(home: Home, table: Table) -> Place:
    return _kept(home, table.name)


@lru_cache(maxsize=1024)
def _kept(home: Home, table_name: str) -> Place:
    # Kept: a small step asks a hundred times, and joining paths was a twentieth of its time.
    layer, _, name = table_name.partition(".")
    folder = home.folder / "tables" / layer / name
    return Place(
        home=home,
        name=table_name,
        folder=folder,
        log=folder / "_delta_log",
        head=home.folder / HEADS / f"{table_name}.json",
        notes=notes_folder(home.folder) / f"{table_name}.notes",
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
