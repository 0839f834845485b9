"""One import: what it is told apart by, its place among all, and its row of silver.batches."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from lakehouse.errors import IngestError
from lakehouse.lake import Lake
from lakehouse.objects import file_uri
from lakehouse.opinions.formats.format import Format
from lakehouse.query import fetch
from schemas.canonical import canonical_json, content_id

IMPORTER_VERSION = 3
CHUNK_BYTES = 1 << 20

RETRACTION = "retraction"
"""Format of a batch that takes another one back."""


@dataclass(frozen=True, slots=True)
class Content:
    """What is imported.

    Attributes:
        source: Name of the opinion source.
        system: Instance of the system that its ids belong to.
        format: Format of the files.
        sha256: SHA-256 of the file; of a folder: of its names and hashes.
        options_json: Canonical JSON of the options.
        valid_time: When undated answers were said.
        uri: Where it stands; None in memory.
        landed_source: Landed source that answers are about where only names of files are read; None elsewhere.
    """

    source: str
    system: str
    format: str
    sha256: str
    options_json: str
    valid_time: datetime | None
    uri: str | None
    landed_source: str | None = None

    @property
    def content_id(self) -> str:
        """Content id of files and options."""
        return content_id([self.format, self.sha256, self.options_json, self.valid_time, IMPORTER_VERSION])


@dataclass(frozen=True, slots=True)
class Batch:
    """One import.

    Attributes:
        batch_id: Content id of source, content and how often it had come before.
        ordinal: Place among all imports of the lake.
        known: Whether this content had come before from this source.
    """

    batch_id: str
    ordinal: int
    known: bool


def next_batch(lake: Lake, content: Content) -> Batch:
    """Return the import that `content` makes; the caller holds the import lock."""
    held = fetch(
        lake,
        "select count(*) as n from silver.batches where source = $source and content_id = $content",
        params={"source": content.source, "content": content.content_id},
    )
    before = int(held[0]["n"])
    return Batch(
        batch_id=content_id([content.source, content.content_id, before]),
        ordinal=next_ordinal(lake),
        known=before > 0,
    )


def batch_row(content: Content, batch: Batch, counts: dict[str, int]) -> dict[str, object]:
    """Return the row of silver.batches."""
    return {
        "batch_id": batch.batch_id,
        "source": content.source,
        "system": content.system,
        "content_id": content.content_id,
        "content_sha256": content.sha256,
        "format": content.format,
        "options_json": content.options_json,
        "importer_version": IMPORTER_VERSION,
        "valid_time": content.valid_time,
        "uri": content.uri,
        "ordinal": batch.ordinal,
        **{f"rows_{name}": counts[name] for name in ("read", "new", "same", "rejected", "unmatched")},
    }


def files_sha256(path: Path, parts: Sequence[str], chosen: Format) -> str:
    """Return the hash of what a format reads there.

    Raises:
        IngestError: If a file cannot be read.
    """
    if chosen.names_only:
        return hashlib.sha256(canonical_json(_names(path)).encode()).hexdigest()
    if list(parts) == [""]:
        return _file_sha256(path)
    found = [[part, _file_sha256(path / part)] for part in parts]
    return hashlib.sha256(canonical_json(found).encode()).hexdigest()


def stamps(path: Path, parts: Sequence[str]) -> list[tuple[int, int, int]]:
    """Return inode, size and time of change of each file: equal before and after means it was not touched."""
    found = []
    for part in parts:
        state = os.stat(path / part if part else path)
        found.append((state.st_ino, state.st_size, state.st_mtime_ns))
    return found


def uri_of(path: Path) -> str:
    """Return the file:// URI of a source."""
    return file_uri(path)


def next_ordinal(lake: Lake) -> int:
    """Return the place of the next import."""
    # A killed import leaves opinions and no batch: its ordinal is taken as well.
    row = fetch(
        lake,
        """
        select (select coalesce(max(ordinal), 0) from silver.batches) as batches,
            (select coalesce(max(ingest_seq), 0) from silver.opinions) as opinions,
            (select coalesce(max(ordinal), 0) from silver.parked_opinions) as parked
        """,
    )[0]
    return max(int(row["batches"]), int(row["opinions"]) >> 32, int(row["parked"]) >> 32) + 1


def _names(path: Path) -> list[str]:
    found = []
    for folder, _, files in os.walk(os.fsencode(path)):
        found += [os.path.relpath(os.path.join(folder, name), os.fsencode(path)).hex() for name in files]
    return sorted(found)


def _file_sha256(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(CHUNK_BYTES):
                digest.update(chunk)
    except OSError as error:
        raise IngestError(f"{path}: cannot be read ({error.strerror}); give an existing file") from error
    return digest.hexdigest()
