"""manifest: one line of JSON for each entity, with the URI of its bytes; no byte is read or copied."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable

from lakehouse.exporting.rows import Row
from lakehouse.exporting.target import Target
from lakehouse.exporting.writing import Job
from lakehouse.objects import absolute_uri

NAME = "manifest.jsonl"


def write_manifest(job: Job, rows: Iterable[Row], target: Target) -> None:
    """Write `manifest.jsonl`."""
    path = job.scratch / f"{uuid.uuid4().hex}.jsonl"
    try:
        with path.open("w", encoding="utf-8") as file:
            for row in rows:
                said = job.described(row) | {
                    "sha256": row.entity_id,
                    "uri": absolute_uri(job.home, str(row.object_uri)),
                }
                file.write(json.dumps(said, ensure_ascii=False) + "\n")
                job.advance(1)
        target.put(NAME, path)
    finally:
        path.unlink(missing_ok=True)
