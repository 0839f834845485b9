"""What a lake looks like from outside: read from the tables' logs and the folder names, never from data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from deltalake.exceptions import DeltaError

from lakehouse.errors import TableError, one_line
from lakehouse.home import Root, home_of
from lakehouse.place import require_lake
from lakehouse.tables.read import open_table
from lakehouse.verification.entries import MEND
from lakehouse.verification.facts import commit_record, digest_from_metadata
from lakehouse.verification.places import place_of
from lakehouse.verification.tables import verify_log
from loaders.format.manifest import DATASET
from schemas.tables import TABLES


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


def published(root: Root) -> list[tuple[str, str]]:
    """Return (name, version id) of every published dataset."""
    found = (each.name.split("/") for each in home_of(root).files.list("datasets"))
    return sorted((steps[1], steps[2]) for steps in found if steps[3:] == [DATASET])
