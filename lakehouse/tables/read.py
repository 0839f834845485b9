"""Tables: where they are, which version, and whether that version is whole."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError as DeltaTableNotFoundError

from lakehouse.erasures import erasures
from lakehouse.errors import TableError, TableNotFoundError, VersionUnavailableError, one_line
from lakehouse.home import Root, home_of
from lakehouse.lines import BRANCHES as LINES
from lakehouse.tables.digest import relation_digest
from lakehouse.verification.copies import AT_ONCE, refresh
from lakehouse.verification.entries import MEND, commit_metadata, versions_in
from lakehouse.verification.facts import digest_from_metadata
from lakehouse.verification.forked import ask_again
from lakehouse.verification.places import place_at, place_of
from lakehouse.verification.tables import newest, verify_table
from schemas.digest import Digest
from schemas.model import Table
from schemas.tables import BY_NAME, TABLES

if TYPE_CHECKING:
    from lakehouse.engines import Relation
    from lakehouse.lake import Lake


def table_path(root: Root, table: Table) -> Path:
    """Return the folder of a table: `<lake>/tables/<layer>/<name>`."""
    return place_of(root, table).folder


def check_tables(root: Root) -> None:
    """Check that no table of a lake is gone: made anew it would be empty, and look like one without rows.

    Raises:
        TableError: If one is; the message names it.
    """
    home = home_of(root)
    if not home.is_local:
        ask_again(home)
        lacking = [place_of(home, table) for table in TABLES if not log_exists(home, table)]
        with ThreadPoolExecutor(AT_ONCE) as threads:
            for _ in threads.map(refresh, lacking):
                pass
        lines = [home.shared.folder, *home.shared.folder.glob(f"{LINES}/*")]
        for name, files in ((name, files) for each in erasures(home) for name, files in each.old_files.items()):
            for file in files:  # a copy must not keep what the lake has forgotten
                for line in lines:
                    (line / "tables" / name.replace(".", "/", 1) / file).unlink(missing_ok=True)
    gone = [table.name for table in TABLES if not log_exists(root, table)]
    if gone:
        raise TableError(
            f"the lake at {root} lost {', '.join(gone)}: the log of each began there and is gone; put the folder "
            f"{table_path(root, BY_NAME[gone[0]])} back from a copy of the lake"
        )


def open_table(root: Root, table: Table, version: int | None = None) -> DeltaTable:
    """Return the handle of a table, at its head or at a version.

    Raises:
        TableNotFoundError: If the lake has no such table.
        VersionUnavailableError: If it has no such version, or its log was cut.
    """
    place, version = (place_of(root, table), None) if version is None else place_at(root, table, version)
    path = place.folder
    version = place.pinned if version is None else version
    try:
        return DeltaTable(path, version=version)
    except DeltaTableNotFoundError as error:
        raise TableNotFoundError(f"{table.name}: no table at {path}; {MEND}") from error
    except BaseException as error:
        # delta-rs has no error class of its own for a missing version, and panics where a commit is no JSON.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        why = one_line(error)
        last = max(versions_in(place.log), default=None)
        if version is None or last is None or version <= last:
            raise VersionUnavailableError(
                f"{table.name}: version {last if version is None else version} cannot be read: {why}; "
                f"put {path / '_delta_log'} back from a copy of the lake"
            ) from error
        raise VersionUnavailableError(
            f"{table.name}@{version}: cannot be read; head is {last} ({path})"
        ) from error


def head(root: Root, table: Table) -> int:
    """Return the newest version of a table: the name of its last commit, which costs one listing of the log.

    Raises:
        TableNotFoundError: If the lake has no such table.
    """
    return newest(place_of(root, table))


def whole(lake: Lake, table: Table, version: int) -> int:
    """Return a version that is about to be read, verified once by every opened lake.

    Raises:
        TableNotFoundError: If the lake has no such table.
        TableError: If something is damaged or lost; the message names the file.
    """
    if (table.name, version) not in lake.verified:
        verify_table(*place_at(lake.home, table, version))
        lake.verified.add((table.name, version))
    return version


def pin_heads(lake: Lake, names: Iterable[str]) -> dict[str, int]:
    """Return the newest version of every table that is named, verified now: table name -> version, by name.

    Files that this machine has read before, and nobody has touched since, are not read again.

    Raises:
        TableNotFoundError: If the lake lacks one.
        TableError: If something is damaged or lost; the message names the file.
    """
    places = {name: place_of(lake.home, BY_NAME[name]) for name in sorted(set(names))}
    if lake.home.is_local:
        pins = {name: verify_table(place) for name, place in places.items()}
    else:  # each waits for the network most of the time
        with ThreadPoolExecutor(AT_ONCE) as threads:
            pins = dict(zip(places, threads.map(verify_table, places.values()), strict=True))
    lake.verified.update(pins.items())
    return pins


def digest_at(lake: Lake, table: Table, version: int) -> Digest:
    """Return the digest of a table at a version: from its commit, else by reading the rows."""
    place, counted = place_at(lake.home, table, whole(lake, table, version))
    digest = digest_from_metadata(commit_metadata(place, counted), counted)
    if digest is not None:
        return digest
    if not open_table(lake.home, table, version).file_uris():
        return Digest()
    return relation_digest(lake.engine, lake.engine.scan(place.folder, counted))


def check_columns(table: Table, found: Relation) -> None:
    """Check that a table of a lake has the columns of its definition.

    Raises:
        TableError: If some are missing; another version of Petrel made the lake.
    """
    missing = [name for name in table.column_names if name not in found.columns]
    if missing:
        raise TableError(
            f"{table.name}: has no column {', '.join(missing)}: another version of Petrel made this lake; work on it "
            "with that version, or land its sources into a new lake"
        )


def log_exists(root: Root, table: Table) -> bool:
    """Return whether a table was made to its end.

    The last commit of a creation adds the constraints: a table killed half-way is completed, not trusted.
    """
    return place_of(root, table).entry(1 if table.checks else 0).is_file()
