"""How far a step has come: all rows of a table up to a version are done, and the next run looks at newer ones alone.

It is a note in `_runs/fresh/`, and only about time: without it the step looks at everything. A note counts as long as
the tables have the very entry that was their newest after the run, which tells all before it: what was lost since,
as with a table put back from a copy, is done again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from lakehouse.errors import TableError
from lakehouse.lake import Lake
from lakehouse.steps.fresh import find_note, keep_note
from lakehouse.tables.read import head
from lakehouse.verification.entries import entry_sha256
from lakehouse.verification.places import place_of
from schemas.model import Table

Versions = Mapping[str, int]
"""Table name -> version."""


def heads_of(lake: Lake, tables: Iterable[Table]) -> dict[str, int]:
    """Return the newest version of each table, in their order: what is read later is at least as new."""
    return {table.name: head(lake.home, table) for table in tables}


def done_upto(lake: Lake, step: str, tables: Iterable[Table], inputs: Mapping[str, object]) -> Versions | None:
    """Return up to which version of each table a step has done everything; None if nobody noted that.

    Args:
        lake: The lake.
        step: Name of the step.
        tables: What it reads and writes.
        inputs: What else its outcome depends on, as JSON values.
    """
    note = find_note(lake, f"{step}_upto", inputs)
    if note is None:
        return None
    found: dict[str, int] = {}
    try:
        for table in tables:
            before, after, sha256 = json.loads(note.details[table.name])
            if entry_sha256(place_of(lake.home, table), after) != sha256:
                return None
            found[table.name] = before
    except (KeyError, ValueError, TypeError, TableError):
        return None  # Of another version of Petrel, or the table lost what was done then.
    return found


def keep_upto(
    lake: Lake, step: str, tables: Iterable[Table], inputs: Mapping[str, object], *, versions: Versions
) -> None:
    """Note that everything is done up to these versions, which `heads_of` gave before the step read anything."""
    details = {}
    for table in tables:
        after = head(lake.home, table)
        details[table.name] = json.dumps(
            [versions[table.name], after, entry_sha256(place_of(lake.home, table), after)]
        )
    keep_note(lake, f"{step}_upto", inputs, counts={}, details=details, writes=())
