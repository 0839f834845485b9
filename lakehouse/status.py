"""What a lake looks like from outside: read from the tables' logs and the folder names, of data the runs of marts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow.parquet as pq
from deltalake.exceptions import DeltaError

from lakehouse.engines.table_files import data_files
from lakehouse.errors import TableError, one_line
from lakehouse.home import Root, home_of
from lakehouse.place import require_lake
from lakehouse.tables.read import head, open_table
from lakehouse.verification.entries import MEND
from lakehouse.verification.facts import commit_record, digest_from_metadata
from lakehouse.verification.places import place_of
from lakehouse.verification.tables import verify_log, verify_table
from lakehouse.views.marts import runs_of
from loaders.format.manifest import DATASET
from schemas.tables import BY_NAME, MARTS, TABLES


@dataclass(frozen=True, slots=True)
class TableStatus:
    """One table as its newest commit describes it.

    Attributes:
        table: Name of the table.
        version: Newest version.
        rows: Rows at that version.
        written_at: When that version was committed, UTC.
        step: Step that wrote it; None for the creation, or a writer that is not ours.
    """

    table: str
    version: int
    rows: int
    written_at: datetime
    step: str | None


def table_status(root: Root) -> list[TableStatus]:
    """Return every table of a lake, in the order of the path.

    Raises:
        TableNotFoundError: If there is no lake at `root`.
        TableError: If an entry of a log is damaged or lost.
    """
    require_lake(root)
    found = []
    for table in TABLES:
        verify_log(place_of(root, table))
        handle = open_table(root, table)
        try:
            newest = handle.history(1)[0]
            metadata = newest.get("userMetadata")
            digest = digest_from_metadata(metadata, handle.version())
            rows = handle.count() if digest is None else digest.rows
            written_at = datetime.fromtimestamp(int(newest["timestamp"]) / 1000, UTC)
        except (DeltaError, LookupError, ValueError, TypeError, OverflowError) as error:
            # Without the record of the head nothing tells that such an entry is not what was written.
            entry = place_of(root, table).entry(handle.version())
            raise TableError(
                f"{table.name}: {entry} is damaged: it does not say what was written ({one_line(error)}); {MEND}"
            ) from error
        step = commit_record(metadata).get("step")
        found.append(
            TableStatus(table.name, handle.version(), rows, written_at, None if step is None else str(step))
        )
    return found


@dataclass(frozen=True, slots=True)
class MartStatus:
    """One mart as its last run left it.

    Attributes:
        mart: Name of the mart.
        rows: Its rows.
        ran_at: When its last run was, UTC.
        changed_since: Tables behind it that have newer versions.
        doc: What one row is.
    """

    mart: str
    rows: int
    ran_at: datetime
    changed_since: tuple[str, ...]
    doc: str


def mart_status(root: Root) -> list[MartStatus]:
    """Return the marts of a lake, by name.

    Raises:
        TableNotFoundError: If there is no lake at `root`.
        TableError: If a file of gold.marts is damaged or lost.
    """
    handle = open_table(root, MARTS, verify_table(place_of(root, MARTS)))
    files = data_files(handle)
    newest: dict[str, dict[str, Any]] = {}
    for row in (row for file in files for row in pq.read_table(file).to_pylist()):
        if row["run"] > newest.get(row["name"], row | {"run": 0})["run"]:
            newest[row["name"]] = row
    runs = runs_of(newest.values())
    heads = {name: head(root, BY_NAME[name]) for name in sorted({name for run in runs.values() for name in run.pins})}
    return [
        MartStatus(
            run.name, run.rows, run.ran_at,
            tuple(name for name, version in run.pins.items() if heads[name] > version), run.doc,
        )
        for run in runs.values()
    ]  # fmt: skip


def published(root: Root) -> list[tuple[str, str]]:
    """Return (name, version id) of every published dataset."""
    found = (each.name.split("/") for each in home_of(root).files.list("datasets"))
    return sorted((steps[1], steps[2]) for steps in found if steps[3:] == [DATASET])
