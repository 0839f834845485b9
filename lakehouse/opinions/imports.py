"""The imports of a lake: what each brought, and which one somebody means."""

from __future__ import annotations

import urllib.parse
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from lakehouse.errors import IngestError
from lakehouse.lake import Lake
from lakehouse.names import nearest
from lakehouse.opinions.matching.waiting import WAITING
from lakehouse.opinions.writing.batch import RETRACTION, uri_of
from lakehouse.query import fetch

SHORTEST_ID = 6
"""Characters of a batch id that name it."""

IMPORTS = f"""
with brought as (
    select o.batch_id, min(o.ingest_time) as ingest_time, min(o.ingest_seq) as seq,
        count(*) filter (where o.op <> 'retract') as opinions,
        count(*) filter (where o.op = 'retract') as retractions,
        count(*) filter (where o.op <> 'retract' and t.target_id is not null) as gone
    from silver.opinions o
    left join (select distinct target_opinion_id as target_id from silver.opinions where op = 'retract') t
        on t.target_id = o.opinion_id
    group by o.batch_id
), parked as (
    {WAITING}
), waits as (
    select batch_id, min(source) as source, min(ingest_time) as ingest_time, min(ordinal) as seq, count(*) as waiting
    from parked group by batch_id
), ids as (
    select batch_id from silver.batches union select batch_id from brought union select batch_id from waits
)
select i.batch_id, coalesce(b.source, w.source, '') as source, coalesce(b.format, 'unfinished') as format, b.uri,
    coalesce(b.ingest_time, o.ingest_time, w.ingest_time) as imported_at,
    coalesce(o.opinions, 0) as opinions, coalesce(o.retractions, 0) as retractions, coalesce(o.gone, 0) as gone,
    coalesce(w.waiting, 0) as waiting
from ids i
left join silver.batches b on b.batch_id = i.batch_id
left join brought o on o.batch_id = i.batch_id
left join waits w on w.batch_id = i.batch_id
order by imported_at, i.batch_id
"""


@dataclass(frozen=True, slots=True)
class Imported:
    """One import.

    Attributes:
        batch_id: Its id in silver.batches.
        source: Name of its opinion source.
        format: What it was read as; `retraction` took another one back, `unfinished` was killed.
        uri: Where it was read; None from memory.
        imported_at: When.
        opinions: Answers it brought.
        retractions: Retractions it brought.
        gone: Answers of it that were taken back.
        waiting: Answers of it that wait for their subject.
    """

    batch_id: str
    source: str
    format: str
    uri: str | None
    imported_at: datetime
    opinions: int
    retractions: int
    gone: int
    waiting: int

    @property
    def stands(self) -> bool:
        """Whether there is anything to take back."""
        return self.opinions > self.gone or self.waiting > 0

    def __str__(self) -> str:
        where = f" from {_path(self.uri)}" if self.uri else ""
        waiting = f", {self.waiting:,} waiting" if self.waiting else ""
        return (
            f"{self.batch_id[:12]}  {self.imported_at:%Y-%m-%d %H:%M:%S}  {self.source}{where} ({self.format}): "
            f"{self.opinions:,} answers, {self.gone:,} taken back{waiting}"
        )


def imports_of(lake: Lake) -> list[Imported]:
    """Return all imports, oldest first; retractions of imports are not among them."""
    found = [Imported(**row) for row in fetch(lake, IMPORTS)]
    return [each for each in found if each.format != RETRACTION]


def find_imports(lake: Lake, wanted: str, *, several: bool = False) -> list[Imported]:
    """Return the import that somebody names by its id (or how that begins), path, file name or source name.

    Args:
        lake: The lake.
        wanted: The name.
        several: Take all that are called so; otherwise more than one that still stands is an error.

    Raises:
        IngestError: If none is called so, or several are and `several` is False; the message lists them.
    """
    held = imports_of(lake)
    found = [each for each in held if wanted in _names(each) or _is_id(wanted, each.batch_id)]
    found = found or [each for each in held if each.uri == uri_of(Path(wanted))]
    if not found:
        names = {name for each in held for name in _names(each)}
        raise IngestError(
            f"no import `{wanted}`{nearest(wanted, names)} (by id, path, file name or name of the source; "
            "petrel opinions retract --list shows all)"
        )
    standing = [each for each in found if each.stands] or found[-1:]
    if len(standing) > 1 and not several:
        shown = "; ".join(map(str, standing))
        raise IngestError(
            f"{len(standing)} imports are called `{wanted}`; name one by its id, or give --all for all: {shown}"
        )
    return standing


def _names(each: Imported) -> set[str]:
    path = _path(each.uri) if each.uri else ""
    return {each.batch_id, each.source, path, path.rpartition("/")[2]} - {""}


def _is_id(wanted: str, batch_id: str) -> bool:
    return len(wanted) >= SHORTEST_ID and batch_id.startswith(wanted.lower())


def _path(uri: str) -> str:
    return urllib.parse.unquote(urllib.parse.urlsplit(uri).path)
