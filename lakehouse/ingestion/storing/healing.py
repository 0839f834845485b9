"""Landing what the lake has already heals lost and damaged objects: which files to read again, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from lakehouse.damage import marked_damaged, unmark
from lakehouse.engines import Relation
from lakehouse.erasures import expired_entities
from lakehouse.errors import IngestError
from lakehouse.files import write_whole
from lakehouse.ingestion.sources.source import Source
from lakehouse.ingestion.storing.held import not_whole
from lakehouse.lake import Lake
from lakehouse.objects import HEAL, object_uri
from lakehouse.query import fetch, query
from lakehouse.steps.step import StepRecord
from loaders.errors import StorageError
from schemas.canonical import content_id
from schemas.tables import LANDED_FILES

KNOWN = """
select distinct b.uri, b.sha256, b.size_bytes from bronze.landed_files b join listed l
    on b.uri = l.uri and b.size_bytes = l.size_bytes and b.mtime_at is not distinct from l.mtime_at
    and (b.etag is null or l.etag is null or b.etag = l.etag)
where b.source = $source and b.drop_name = $drop and b.status = 'stored' and l.rule is null
"""
"""Objects of the files that were landed as they are now."""

STORED = "select distinct sha256, size_bytes from stored where status = 'stored'"

LINES_AT_ONCE = 65_536

HEALED = """
select count(distinct s.sha256) as n, min(s.path) as example from stored s
where s.is_written and exists (select 1 from bronze.landed_files b where b.sha256 = s.sha256 and b.status = 'stored')
"""
"""Bytes that were written although the lake, as it was before, knew of them."""


@dataclass(slots=True)
class Healing:
    """What one run of land finds out about the objects of its files.

    Attributes:
        source: What is landed.
        fingerprint: Of its listing.
        before: Version of bronze.landed_files when the run began.
        marked: Objects that somebody found damaged.
        objects: Columns sha256 and size_bytes: of the objects of its files, a table for each portion.
        healed: How many were written anew.
    """

    source: Source
    fingerprint: str
    before: int
    marked: frozenset[str]
    objects: list[pa.Table] = field(default_factory=list)
    healed: int = 0


def objects_whole(lake: Lake, source: Source, fingerprint: str) -> bool:
    """Say whether all objects of a folder that was landed as it is now are there; see `not_whole` for what it costs.

    In link mode there are none.
    """
    if source.mode == "link":
        return True
    try:
        with _place(lake, source).open(encoding="ascii") as lines:
            if next(lines, "").strip() != fingerprint:
                return False
            gone = expired_entities(lake.home)
            known = ((sha256, int(size)) for sha256, size in map(str.split, lines) if sha256 not in gone)
            return not not_whole(lake.home, known, marked_damaged(lake.home))
    except StorageError as error:
        raise IngestError(f"cannot look at the objects of the lake {lake.home}: {error}") from error
    except (OSError, ValueError):
        # Never written, or not whole: the files are compared with the table then.
        return False


def start_healing(lake: Lake, source: Source, fingerprint: str, *, before: int) -> Healing:
    """Begin to find out; `before` is the version of bronze.landed_files."""
    return Healing(source, fingerprint, before, marked_damaged(lake.home))


def to_read_again(
    lake: Lake, healing: Healing, listed: Relation, *, text: str = KNOWN, params: Mapping[str, object] | None = None
) -> Mapping[str, str]:
    """Return the files, URI -> SHA-256, that are as they were landed and whose objects are not.

    Args:
        lake: The lake.
        healing: Of this run.
        listed: The files.
        text: Selects uri, sha256 and size_bytes of the objects of those that are as they were.
        params: Of `text`; None: source and drop.
    """
    said = params or {"source": healing.source.name, "drop": healing.source.drop}
    known = lake.engine.arrow(query(lake, text, inputs={"listed": listed}, params=said))
    healing.objects.append(known.select(["sha256", "size_bytes"]))
    gone = expired_entities(lake.home)
    hashes = known["sha256"].to_pylist()
    expected = zip(hashes, known["size_bytes"].to_pylist(), strict=True)
    damaged = not_whole(lake.home, (each for each in expected if each[0] not in gone), healing.marked)
    if not damaged:
        return {}
    return {uri: sha256 for uri, sha256 in zip(known["uri"].to_pylist(), hashes, strict=True) if sha256 in damaged}


def count_healed(
    lake: Lake, healing: Healing, stored: Relation, again: Mapping[str, str], record: StepRecord, *, known: int
) -> None:
    """Count and note what a portion of files has healed, and what it should have and could not.

    Args:
        lake: The lake.
        healing: Of this run.
        stored: What became of the files that were read.
        again: From `to_read_again`.
        record: Takes the notes.
        known: How many of the objects of `stored` the lake knows of.
    """
    if healing.source.mode == "link":
        return
    found = lake.engine.arrow(query(lake, STORED, inputs={"stored": stored}))
    healing.objects.append(found)
    if known:
        healed = fetch(lake, HEALED, inputs={"stored": stored}, pins={LANDED_FILES.name: healing.before})[0]
        if healed["n"]:
            healing.healed += healed["n"]
            record.note("healed", f"the object of {healed['example']} was damaged or missing and was written anew",
                        count=healed["n"])
    if not (healing.marked or again):
        return
    whole = set(found["sha256"].to_pylist())
    unmark(lake.home, healing.marked & whole)
    lost = sorted(set(again.values()) - whole)
    if lost:
        record.note("not_healed", f"{object_uri(lost[0])} is damaged or missing, and the file that it came from has "
                    f"other bytes now: {HEAL}", count=len(lost))


def keep_objects(lake: Lake, healing: Healing) -> None:
    """Note the objects of the files that were landed, for `objects_whole`."""
    if healing.source.mode == "link":
        return
    path = _place(lake, healing.source)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, _lines(healing))


def _lines(healing: Healing) -> Iterator[str]:
    yield f"{healing.fingerprint}\n"
    for table in healing.objects:
        for batch in table.to_batches(max_chunksize=LINES_AT_ONCE):
            pairs = zip(*(column.to_pylist() for column in batch.columns), strict=True)
            yield "".join(f"{sha256} {size}\n" for sha256, size in pairs)


def _place(lake: Lake, source: Source) -> Path:
    name = content_id([source.name, source.drop, source.address])
    return lake.runs / "fresh" / f"land-{name}.objects"
