"""Answers that come as lines of JSON, as long as somebody sends them: written in batches, each whole or not at all."""

from __future__ import annotations

import functools
import queue
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from lakehouse.lake import Lake
from lakehouse.opinions.formats.common import reject
from lakehouse.opinions.formats.jsonl import MAX_LINE_BYTES, JsonlOptions, line_item
from lakehouse.opinions.predictions import record_items
from lakehouse.opinions.reading.answer import Item
from lakehouse.steps.receipts import Receipt

LEAST_ROWS = 20
"""A stream is judged as if at least so many rows had come: one slip among the first few ends nothing."""

Numbered = Sequence[tuple[int, bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """How a stream is read and written.

    Attributes:
        source: Stable name of where the answers are from, for example the name of the service.
        question: Question of lines that name none; "" where all do.
        actor: Who answers in lines that name nobody; "" where all do.
        match: How lines name their subject; see `OpinionSource.match`.
        landed_source: Landed source whose files are meant; "" looks in all.
        system: Instance of the system that ids in the lines belong to.
        project: Project in that system.
        said_at: When lines without a time were said; None leaves it open.
        rows: Lines of a batch at most.
        seconds: A batch is written when its first line is so old; 0 waits until it is full.
    """

    source: str
    question: str = ""
    actor: str = ""
    match: str = "auto"
    landed_source: str = ""
    system: str = ""
    project: str = ""
    said_at: datetime | None = None
    rows: int = 10_000
    seconds: float = 10.0


def record_stream(
    lake: Lake, lines: Iterable[bytes], stream: Stream, *, max_rejected_share: float
) -> Iterator[Receipt]:
    """Write the lines as they come; yields the receipt of each batch.

    What was written stays when a later batch is refused or the stream breaks off: sending everything again adds what
    is missing. Lines with a time (`event_time`) or an id (`source_key`) add nothing when they come again, whatever
    came between; of lines with neither the one that came last holds.

    Args:
        lake: The lake.
        lines: Lines of UTF-8, with or without their ends; blank ones are no records.
        stream: How they are read.
        max_rejected_share: Share of all lines so far that may be rejected, of at least `LEAST_ROWS`.

    Raises:
        IngestError: If more are; of the batch at hand nothing was written then.
        ConfigError: If actor or question contradict what the lake holds, or no such source has landed.
    """
    read = rejected = 0
    for batch in batches(lines, rows=stream.rows, seconds=stream.seconds):
        allowed = max_rejected_share * max(read + len(batch), LEAST_ROWS) - rejected
        receipt = record_items(
            lake,
            functools.partial(_items, batch),
            source=stream.source,
            question=stream.question or None,
            actor=stream.actor or None,
            said_at=stream.said_at,
            match=stream.match,
            landed_source=stream.landed_source,
            system=stream.system,
            project=stream.project,
            max_rejected_share=max(0.0, min(1.0, allowed / len(batch))),
        )
        read += receipt.counts["read"]
        rejected += receipt.counts["rejected"]
        yield receipt


def batches(lines: Iterable[bytes], *, rows: int, seconds: float) -> Iterator[Numbered]:
    """Yield lines that are not blank with their numbers, counted from 1: full batches, and what has waited long enough.

    Raises:
        Exception: What reading the lines raised, after the lines before it.
    """
    ready: queue.Queue[tuple[int, bytes] | BaseException | None] = queue.Queue(maxsize=2 * rows)
    threading.Thread(target=_feed, args=(lines, ready), daemon=True, name="petrel-lines").start()
    held: list[tuple[int, bytes]] = []
    due = 0.0
    while True:
        try:
            found = ready.get(timeout=max(0.0, due - time.monotonic()) if held and seconds else None)
        except queue.Empty:
            yield held
            held = []
            continue
        if isinstance(found, tuple):
            due = due if held else time.monotonic() + seconds
            held.append(found)
            if len(held) < rows:
                continue
        if held:
            yield held
            held = []
        if isinstance(found, BaseException):
            raise found
        if found is None:
            return


def _feed(lines: Iterable[bytes], ready: queue.Queue[tuple[int, bytes] | BaseException | None]) -> None:
    try:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                ready.put((number, line))
    except BaseException as error:
        ready.put(error)
    else:
        ready.put(None)


def _items(lines: Numbered, options: JsonlOptions) -> Iterator[Item]:
    unread: set[str] = set()
    for number, line in lines:
        where = f"line {number}"
        if len(line) > MAX_LINE_BYTES:
            yield reject(where, "too_long", f"longer than {MAX_LINE_BYTES:,} bytes")
        else:
            yield line_item(line, where, options, unread)
