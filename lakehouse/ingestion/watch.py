"""watch: land what arrives in growing folders and buckets, batch by batch; every file once, also after a kill.

How far it came, `bronze.landed_files` tells, which is committed with what was landed: there is no other checkpoint.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa

from lakehouse.engines import Relation
from lakehouse.errors import ConfigError
from lakehouse.ingestion.land import COUNTS, described, keep_sidecars, land_chunk
from lakehouse.ingestion.resting import REST_S, Resting
from lakehouse.ingestion.sources.delivery import list_source
from lakehouse.ingestion.sources.forms import FILES
from lakehouse.ingestion.sources.sidecar import Sidecars
from lakehouse.ingestion.sources.source import Source
from lakehouse.ingestion.storing.healing import start_healing
from lakehouse.ingestion.storing.store import LISTED_SCHEMA
from lakehouse.lake import Lake
from lakehouse.query import query
from lakehouse.steps.receipts import Receipt
from lakehouse.steps.step import StepRecord, balance, step
from lakehouse.tables.read import head
from schemas.tables import LANDED_FILES

MAX_FILES = 1000
MAX_BYTES = 1 << 30

LANDED = """
select uri, size_bytes, mtime_at, etag, sidecar_json, captured_at, group_keys from bronze.landed_files
where source = $source and drop_name = $drop and status = $status and origin = $origin
  and licence is not distinct from $licence and campaign is not distinct from $campaign
  and consent is not distinct from $consent and cadence is not distinct from $cadence and container_uri is null
"""


DROPPED = """
select uri, size_bytes, mtime_at, etag, sidecar_json, captured_at, group_keys from bronze.keep_decisions
where source = $source and drop_name = $drop and policy_json = $policy and verdict = 'dropped'
"""


@dataclass(frozen=True, slots=True)
class Batches:
    """How a stream is cut.

    Attributes:
        max_files: Files of a batch.
        max_bytes: Bytes of a batch; a larger file is a batch of its own.
        rest_s: Seconds for which a file must not have changed; see `Resting`.
    """

    max_files: int = MAX_FILES
    max_bytes: int = MAX_BYTES
    rest_s: float = REST_S

    def __post_init__(self) -> None:
        for name, least in (("max_files", 1), ("max_bytes", 1), ("rest_s", 0)):
            if getattr(self, name) < least:
                raise ConfigError(f"watch: {name} is {getattr(self, name)}; expected {least} or more")


def watch(
    lake: Lake, sources: Source | Sequence[Source], *, every_s: float | None = None, batches: Batches | None = None,
    stop: threading.Event | None = None,
) -> Iterator[Receipt]:  # fmt: skip
    """Land the files of sources as they arrive, and yield a receipt for each batch, and one at the end.

    A file whose size, time and description are as they were landed is not read; one that was overwritten is a new
    observation, however late its time is. Files still being written are left until they rest (`Resting`). What is
    refused is tried again when it changes, or by the next `watch` or `land`. Objects that are damaged are healed by
    `land` alone. On Spark batches are the micro-batches of a streaming query.

    Args:
        lake: The lake.
        sources: What to land.
        every_s: Seconds from one look to the next; None lands what is there and ends: what was just being written is
            looked at once more after `rest_s`.
        batches: How the stream is cut.
        stop: Ends the stream after the batch under way, once it is set.

    Returns:
        Receipts of step `land` with counts as of `land`, and a last one of step `watch` with counts looks, batches,
        seen (files at the last look), taken (files of all batches) and waiting (files that did not rest yet).

    Raises:
        ConfigError: If there is no source, or two have one name and drop.
        IngestError: If a folder is away, or a bucket does not answer.
        CheckFailedError: If counts do not balance.
    """
    chosen = [sources] if isinstance(sources, Source) else list(sources)
    if not chosen or len({(each.name, each.drop) for each in chosen}) < len(chosen):
        raise ConfigError("watch: give sources, each with a name and drop of its own")
    for each in chosen:
        if each.form != FILES:
            raise ConfigError(f"source {each.name}: form = {each.form} is landed by `petrel land`, again and again; "
                              "only folders and buckets of files are watched")  # fmt: skip
    stream = _Stream(lake, chosen, every_s, batches or Batches(), stop or threading.Event())
    with step(lake, "watch") as record:
        yield from lake.engine.micro_batches(stream.batches(), LISTED_SCHEMA, stream.land)
        record.counts = {
            "looks": stream.looks, "batches": stream.landed, "seen": sum(each.seen for each in stream.folders),
            "taken": stream.taken, "waiting": sum(len(each.waiting) for each in stream.folders),
        }  # fmt: skip
        if waiting := [path for each in stream.folders for path in each.waiting]:
            record.note("still_written", f"{waiting[0]} changed less than {stream.limits.rest_s:g} s ago; it is taken "
                        "once it rests", count=len(waiting))
    yield record.finished()


@dataclass(slots=True)
class _Folder:
    """One source, and what is known of it: a mark of 16 bytes, 100 in memory, for each file."""

    source: Source
    resting: Resting
    known: set[bytes]
    seen: int = 0
    waiting: list[str] = field(default_factory=list)

    def new(self, lake: Lake) -> Iterator[tuple[dict[str, object], Sidecars]]:
        """Yield the files that are not landed as they are now, and at rest; then forget those that are gone."""
        sidecars = Sidecars(self.source, lake.home.stores)
        marks: set[bytes] = set()
        seen, waiting = 0, []
        for listed in list_source(self.source, lake.home):
            row = next(described([listed], sidecars))
            mark = _mark(row)
            seen += 1
            if mark in self.known:
                marks.add(mark)
            elif self.resting.is_at_rest(listed):
                marks.add(mark)
                yield row, sidecars
            else:
                waiting.append(listed.path)
        self.known, self.seen, self.waiting = marks, seen, waiting


@dataclass(slots=True)
class _Stream:
    """The batches of a watch, and what was made of them."""

    lake: Lake
    sources: Sequence[Source]
    every_s: float | None
    limits: Batches
    stop: threading.Event
    folders: list[_Folder] = field(default_factory=list)
    looks: int = 0
    landed: int = 0
    taken: int = 0
    current: tuple[Source, Sidecars] | None = None

    def batches(self) -> Iterator[pa.Table]:
        """Yield batch after batch, until it is told to stop or, without `every_s`, nothing more is to come."""
        self.folders = [
            _Folder(each, Resting(self.limits.rest_s, follow_links=each.follow_links), set(_landed(self.lake, each)))
            for each in self.sources
        ]
        while not self.stop.is_set():
            for folder in self.folders:
                yield from self._look(folder)
            self.looks += 1
            if self.every_s is not None:
                self.stop.wait(self.every_s)
            elif self.looks == 1 and any(each.waiting for each in self.folders):
                self.stop.wait(self.limits.rest_s)
            else:
                return

    def land(self, batch: Relation) -> Receipt:
        """Land one batch, in one commit."""
        assert self.current is not None, "a batch is asked for before it is landed"
        source, sidecars = self.current
        listed = self.lake.engine.arrow(batch)
        self.landed += 1
        with step(self.lake, "land") as record:
            _land(self.lake, source, sidecars, listed, record)
            record.details |= {"source": source.name, "batch": str(self.landed)}
        self.taken += listed.num_rows
        return record.finished()

    def _look(self, folder: _Folder) -> Iterator[pa.Table]:
        rows: list[dict[str, object]] = []
        size = 0
        for row, sidecars in folder.new(self.lake):
            self.current = folder.source, sidecars
            length = int(str(row["size_bytes"]))
            if rows and (len(rows) >= self.limits.max_files or size + length > self.limits.max_bytes):
                yield _table(rows)
                if self.stop.is_set():
                    return
                rows, size = [], 0
            rows.append(row)
            size += length
        if rows:
            yield _table(rows)


def _land(lake: Lake, source: Source, sidecars: Sidecars, listed: pa.Table, record: StepRecord) -> None:
    healing = start_healing(lake, source, "", before=head(lake.home, LANDED_FILES))
    keep_sidecars(lake, source, sidecars, record)
    counts = record.counts = dict.fromkeys(COUNTS, 0)
    land_chunk(lake, source, sidecars, listed, record, healing, known=False)
    balance("watch", "files seen", {key: counts[key] for key in counts if key != "seen"}, counts["seen"])


def _table(rows: Sequence[Mapping[str, object]]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=LISTED_SCHEMA)


def _landed(lake: Lake, source: Source) -> Iterator[bytes]:
    params: dict[str, object] = {
        "source": source.name, "drop": source.drop, "origin": source.origin,
        "status": "stored" if source.mode == "copy" else "linked",
        "licence": source.licence or None, "campaign": source.campaign or None,
        "consent": source.consent or None, "cadence": source.cadence or None,
    }
    for batch in lake.engine.stream(query(lake, LANDED, params=params)):
        yield from map(_mark, batch.to_pylist())
    if source.keep is not None:
        params = {"source": source.name, "drop": source.drop, "policy": source.keep.text}
        for batch in lake.engine.stream(query(lake, DROPPED, params=params)):
            yield from map(_mark, batch.to_pylist())


def _mark(row: Mapping[str, object]) -> bytes:
    """Return a hash of all that is told of a file without reading it."""
    groups = row["group_keys"] or ()
    assert isinstance(groups, Sequence)
    told = [row["uri"], row["size_bytes"], _time(row["mtime_at"]), row["etag"], row.get("rule"), row["sidecar_json"],
            _time(row["captured_at"]), sorted(tuple(each) for each in groups)]  # fmt: skip
    return hashlib.blake2b(repr(told).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _time(value: object) -> str | None:
    return value.isoformat() if isinstance(value, datetime) else None
