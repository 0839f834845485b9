"""What `open_lake` gives: the lake, with what programs ask of it all day as methods.

A lake is what every room is handed, so it stands below them and knows none; this stands above them. Each method is the
function of the same name, which takes the lake first; the steps are functions alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakehouse.lake import Lake

if TYPE_CHECKING:
    import pyarrow as pa

    from lakehouse.ingestion.sources.source import Source
    from lakehouse.ingestion.watch import Batches
    from lakehouse.opinions.actors import Actor
    from lakehouse.opinions.questions import Question
    from lakehouse.params import Params
    from lakehouse.steps.receipts import Receipt
    from lakehouse.streaming.stream import QueryStream, StreamOptions
    from lakehouse.viewing.widget import Page
    from loaders.options import Shard
    from loaders.stores.storage import StorageOptions


class OpenLake(Lake):
    """An open lake; see `Lake` for what it is, and the functions for what the methods do and raise."""

    def read_table(
        self,
        name: str,
        *,
        version: int | Mapping[str, int] | None = None,
        as_of: datetime | None = None,
        columns: Sequence[str] | None = None,
        where: str | None = None,
        params: Mapping[str, object] | None = None,
    ) -> pa.Table:
        """Return the rows of a table or view: `lakehouse.reading.tables.read_table`."""
        from lakehouse.reading.tables import read_table

        return read_table(self, name, version=version, as_of=as_of, columns=columns, where=where, params=params)

    def view(self, sql: str = "") -> Page:
        """Return pages that a notebook shows, of at most 1,000 rows: `lakehouse.viewing.export.page_of`."""
        from lakehouse.viewing.widget import Page

        return Page.of(self, sql)

    def read_object(self, entity_id: str) -> bytes:
        """Return the bytes of an entity: `lakehouse.reading.objects.read_object`."""
        from lakehouse.reading.objects import read_object

        return read_object(self, entity_id)

    def open_object(self, entity_id: str, *, range: tuple[int, int | None] | None = None) -> BufferedReader:
        """Return the bytes of an entity as a file: `lakehouse.reading.objects.open_object`."""
        from lakehouse.reading.objects import open_object

        return open_object(self, entity_id, range=range)

    def stream(
        self,
        query: str,
        *,
        batch_size: int,
        params: Params | None = None,
        pins: Mapping[str, int] | None = None,
        columns: Sequence[str] | None = None,
        decoders: Mapping[str, Any] | None = None,
        transform: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
        shard: Shard | None = None,
        seed: int = 0,
        options: StreamOptions | None = None,
    ) -> QueryStream:
        """Stream the rows of a query with their bytes, for training: `lakehouse.streaming.stream.stream`."""
        from lakehouse.streaming.stream import stream

        return stream(
            self, query, batch_size=batch_size, params=params, pins=pins, columns=columns, decoders=decoders,
            transform=transform, shard=shard, seed=seed, options=options,
        )  # fmt: skip

    def export(
        self,
        selection: str,
        *,
        format: str,
        to: str | Path,
        params: Mapping[str, object] | None = None,
        shard_bytes: int | None = None,
        options: StorageOptions | None = None,
    ) -> Receipt:
        """Write what is selected for programs that know no lake: `lakehouse.exporting.step.export`."""
        from lakehouse.exporting.step import SHARD_BYTES, export

        shard_bytes = SHARD_BYTES if shard_bytes is None else shard_bytes
        return export(self, selection, format=format, to=to, params=params, shard_bytes=shard_bytes, options=options)

    def watch(
        self, sources: Source | Sequence[Source], *, every_s: float | None = None, batches: Batches | None = None,
        stop: threading.Event | None = None,
    ) -> Iterator[Receipt]:  # fmt: skip
        """Land what arrives, batch by batch: `lakehouse.ingestion.watch.watch`."""
        from lakehouse.ingestion.watch import watch

        return watch(self, sources, every_s=every_s, batches=batches, stop=stop)

    def record_opinions(
        self,
        rows: pa.Table | Iterable[Mapping[str, object]],
        *,
        source: str,
        question: str | Question | None = None,
        actor: str | Actor | None = None,
        said_at: datetime | None = None,
        inputs: Mapping[str, str] | None = None,
        match: str = "sha256",
        landed_source: str = "",
        system: str = "",
        project: str = "",
        max_rejected_share: float = 0.0,
    ) -> Receipt:
        """Write answers that are in memory: `lakehouse.opinions.predictions.record_opinions`."""
        from lakehouse.opinions.predictions import record_opinions

        return record_opinions(
            self, rows, source=source, question=question, actor=actor, said_at=said_at, inputs=inputs, match=match,
            landed_source=landed_source, system=system, project=project, max_rejected_share=max_rejected_share,
        )  # fmt: skip
