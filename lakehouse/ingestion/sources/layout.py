"""The columns that a source had when it was first landed: one that lost some, or changed their types, stops there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lakehouse.errors import IngestError
from lakehouse.ingestion.sources.source import Source
from lakehouse.lake import Lake
from lakehouse.query import fetch
from lakehouse.steps.step import StepRecord
from lakehouse.tables.insert import insert_rows
from schemas.canonical import canonical_json, content_id
from schemas.tables import RAW_RECORDS

LATEST = """
select payload, ordinal from bronze.raw_records
where source = $source and origin = $origin and kind = $kind
  and json_extract_string(payload, '$.drop') = $drop
order by ordinal desc limit 1
"""


def check_layout(
    lake: Lake, source: Source, found: Mapping[str, str], record: StepRecord, *, origin: str, required: frozenset[str]
) -> None:
    """Compare the columns of a source with those that it had; the first time they are kept.

    Args:
        lake: The lake.
        source: The source; every delivery (drop) has a layout of its own.
        found: Column -> type, "" where it has none.
        record: Takes the note of columns that are new, and the commit.
        origin: What has these columns.
        required: Columns that the source is told to read.

    Raises:
        IngestError: If a column that is required, or was there before, is missing or has another type.
    """
    missing = sorted(required - found.keys())
    if missing:
        raise IngestError(f"source {source.name}: {origin} has no column {', '.join(missing)}: expected "
                          f"{', '.join(sorted(required))}; found {_shown(found)}")  # fmt: skip
    last = latest(lake, source, origin=origin, kind="layout")
    before = {} if last is None else {str(key): str(value) for key, value in last[0]["columns"].items()}
    if any(found.get(name) != kind for name, kind in before.items()):
        raise IngestError(
            f"source {source.name}: {origin} is not laid out as it was: expected {_shown(before)}; found "
            f"{_shown(found)}. If that is meant, land it as another delivery (drop = ..., --drop)"
        )
    added = sorted(found.keys() - before.keys())
    if last is not None and added:
        record.note("new_columns", f"{origin}: {', '.join(added)}", count=len(added))
    if added:
        row = kept_row(source, {"columns": dict(found)}, origin=origin, kind="layout", after=last)
        record.writes.append(insert_rows(lake, RAW_RECORDS, [row], step="land"))


Kept = tuple[dict[str, Any], int]
"""What was kept last, and its number."""


def latest(lake: Lake, source: Source, *, origin: str, kind: str) -> Kept | None:
    """Return what was last kept about a delivery of a source; None if nothing was."""
    said = {"source": source.name, "origin": origin, "kind": kind, "drop": source.drop}
    rows = fetch(lake, LATEST, params=said)
    return (json.loads(rows[0]["payload"]), rows[0]["ordinal"]) if rows else None


def kept_row(
    source: Source, said: Mapping[str, object], *, origin: str, kind: str, after: Kept | None
) -> dict[str, object]:
    """Return the row of bronze.raw_records that `latest` finds from now on."""
    payload = canonical_json({"drop": source.drop, **said})
    ordinal = 1 if after is None else after[1] + 1
    return {
        "record_id": content_id([source.name, origin, kind, ordinal, payload]), "source": source.name,
        "origin": origin, "ordinal": ordinal, "kind": kind, "payload": payload,
    }  # fmt: skip


def _shown(columns: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {kind}".strip() for name, kind in columns.items())
