"""manifest: one line of JSON for each entity, with the URI of its bytes; no byte is read or copied."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable

from lakehouse.derived.places import made_by, stored_place
from lakehouse.exporting.rows import Row
from lakehouse.exporting.writing import Job
from lakehouse.objects import absolute_uri
from lakehouse.target import Target

NAME = "manifest.jsonl"


def write_manifest(job: Job, rows: Iterable[Row], target: Target) -> None:
    """Write `manifest.jsonl`."""
    path = job.scratch / f"{uuid.uuid4().hex}.jsonl"
    try:
        with path.open("w", encoding="utf-8") as file:
            for row in rows:
                uri, _, sha256 = stored_place(row.place).rpartition("#")
                said = job.described(row) | {"sha256": sha256, "uri": absolute_uri(job.home, uri)}
                made = made_by(row.place)
                if len(made) == 1:
                    # What is made of that file is the sample.
                    said |= made[0]
                elif made:
                    said["made_by"] = made
                file.write(json.dumps(said, ensure_ascii=False) + "\n")
                job.advance(1)
        target.put(NAME, path)
    finally:
        path.unlink(missing_ok=True)
