"""Making the tables of a lake, with comments, constraints and retention; one way for both engines."""

from __future__ import annotations

import json

from deltalake import CommitProperties, DeltaTable
from deltalake.exceptions import DeltaError

from lakehouse.errors import TableError, one_line
from lakehouse.lake import Lake
from lakehouse.tables.locks import lake_lock
from lakehouse.tables.read import log_exists
from lakehouse.verification.copies import publish_log
from lakehouse.verification.entries import entry_sha256
from lakehouse.verification.facts import commit_facts
from lakehouse.verification.heads import Head, write_head
from lakehouse.verification.places import Place, place_of
from lakehouse.verification.tables import newest
from schemas.digest import Digest
from schemas.model import Table
from schemas.tables import TABLES

PROPERTIES = {
    "delta.appendOnly": "true",
    # Delta 4.1+ refuses time travel past the second; a dataset may pin a version for ten years.
    "delta.logRetentionDuration": "interval 3650 days",
    "delta.deletedFileRetentionDuration": "interval 3650 days",
}


def create_tables(lake: Lake) -> None:
    """Create the tables that are missing, with comments, constraints and retention; for both engines."""
    missing = [table for table in TABLES if not log_exists(lake.home, table)]
    if not missing:
        return
    with lake_lock(lake, "create_tables"):
        for table in missing:
            if not log_exists(lake.home, table):
                _create(place_of(lake.home, table), table)


def _create(place: Place, table: Table) -> None:
    try:
        created = DeltaTable.create(
            place.folder,
            schema=table.arrow_schema,
            mode="ignore",
            name=table.name,
            description=table.doc,
            configuration=PROPERTIES,
        )
    except (DeltaError, OSError) as error:
        why = one_line(error)
        raise TableError(
            f"{table.name}: cannot be created at {place.folder}: {why}; make room or give permission, or where the "
            f"lake is damaged put {place.log} back from a copy"
        ) from error
    present = created.metadata().configuration
    missing = {name: check for name, check in table.checks.items() if f"delta.constraints.{name}" not in present}
    if missing:
        # All in one commit: with one each, reading a new table's log took Spark seconds.
        facts = commit_facts(step="create", engine="none", added=0, digest=Digest(), version=1,
                             previous=entry_sha256(place, 0))
        metadata = {"userMetadata": json.dumps({"petrel": facts}, sort_keys=True)}
        created.alter.add_constraint(missing, commit_properties=CommitProperties(custom_metadata=metadata))
    publish_log(place)
    made = newest(place)
    write_head(place, Head(made, entry_sha256(place, made)))
