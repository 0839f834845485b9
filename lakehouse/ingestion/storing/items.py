"""Storing what comes one by one, in the order of a stream: members of archives, rows of shards, items of a program."""

from __future__ import annotations

import hashlib
import itertools
import operator
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import pyarrow as pa

from lakehouse.errors import RejectedInputError
from lakehouse.ingestion.storing.held import CHUNK_BYTES
from lakehouse.ingestion.storing.pending import Outcome, Pending, StorePlan, check_not_erased, pending_of, writing
from lakehouse.ingestion.storing.store import LISTED_SCHEMA, landed_rows
from lakehouse.objects import object_uri
from loaders.stores.staged import Staged

ITEMS_AT_ONCE = 256
"""Items whose objects are published together, before their rows are yielded."""


class Readable(Protocol):
    """Bytes that are read once, from the first to the last."""

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes; none at the end."""


@dataclass(slots=True, eq=False)
class Described:
    """What is said about one item, or about several that belong together; filled in until the next one begins.

    Attributes:
        text: JSON object, untouched; None where nothing is said.
        captured_at: When it was recorded; None where nothing is said.
        group_keys: What must not be split between train and test.
    """

    text: str | None = None
    captured_at: datetime | None = None
    group_keys: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Item:
    """One thing of a stream, to be stored before the next is asked for.

    Attributes:
        uri: Exact.
        path: Relative to the drop, for people.
        name: Last part of the path.
        size: Bytes that it has by what is said of it; None: as many as come.
        content: Its bytes; None for what is refused unread.
        mtime: Modification time, None where none is told.
        etag: Version tag; None where none is told.
        rule: Why it is refused unread.
        reason: The same for a person.
        described: What is said about it; items of one description are told of together.
        container_uri: What it came in.
    """

    uri: str
    path: str
    name: str
    size: int | None
    content: Readable | None = None
    mtime: datetime | None = None
    etag: str | None = None
    rule: str | None = None
    reason: str | None = None
    described: Described = field(default_factory=Described)
    container_uri: str | None = None


def store_items(items: Iterator[Item], plan: StorePlan) -> Iterator[pa.RecordBatch]:
    """Store every item and yield its row of bronze.landed_files, as `store_batches` does.

    Objects are published before their rows are yielded.

    Args:
        items: Each is read before the next is asked for.
        plan: What to do; the mode is copy.
    """
    groups = itertools.groupby(items, key=operator.attrgetter("described"))
    while taken := _store_some(groups, plan):
        yield _rows(taken, plan)


def _store_some(
    groups: Iterator[tuple[Described, Iterator[Item]]], plan: StorePlan
) -> list[tuple[Item, int, Outcome]]:
    pending = pending_of(plan)
    taken: list[tuple[Item, int, Outcome]] = []
    try:
        for _, group in groups:
            taken += [(item, *_store(item, plan, pending)) for item in group]
            if len(taken) >= ITEMS_AT_ONCE:
                break
        with writing():
            pending.objects.publish(pending.staged)
    finally:
        for left in pending.staged.values():
            left.close()
    return taken


def _store(item: Item, plan: StorePlan, pending: Pending) -> tuple[int, Outcome]:
    """Return how many bytes an item has, as far as is known, and what became of it."""
    if item.content is None:
        return item.size or 0, Outcome(rule=item.rule, reason=item.reason)
    try:
        if item.size is not None and item.size > plan.max_bytes:
            raise RejectedInputError("too_large", f"{item.size} bytes, limit {plan.max_bytes}")
        size, sha256, written = _store_content(item, item.content, plan, pending)
        return size, Outcome(sha256, written)
    except RejectedInputError as error:
        return item.size or 0, Outcome(rule=error.rule, reason=error.reason)


def _store_content(
    item: Item, content: Readable, plan: StorePlan, pending: Pending
) -> tuple[int, str, int | None]:
    first = _read(content, CHUNK_BYTES + 1)
    if len(first) <= CHUNK_BYTES:
        _check_size(item, len(first))
        sha256 = hashlib.sha256(first).hexdigest()
        check_not_erased(sha256, plan)
        is_written = pending.keep(object_uri(sha256), sha256, first)
        return len(first), sha256, len(first) if is_written else None
    digest, size, chunk = hashlib.sha256(), 0, first
    staged = pending.stage()
    left: Staged | None = staged
    try:
        while chunk:
            size += len(chunk)
            if size > plan.max_bytes:
                raise RejectedInputError("too_large", f"more than {plan.max_bytes} bytes, the limit")
            digest.update(chunk)
            with writing():
                staged.write(chunk)
            chunk = _read(content, CHUNK_BYTES)
        _check_size(item, size)
        sha256 = digest.hexdigest()
        check_not_erased(sha256, plan)
        left = None
        is_written = pending.keep_staged(object_uri(sha256), size, sha256, staged)
        return size, sha256, size if is_written else None
    finally:
        if left is not None:
            left.discard()


def _read(content: Readable, size: int) -> bytes:
    """Return `size` bytes, fewer at the end alone: a stream may give less than it is asked for."""
    parts, left = [], size
    try:
        while left and (part := content.read(left)):
            parts.append(part)
            left -= len(part)
    except OSError as error:
        raise RejectedInputError("unreadable", f"reading failed: {error.strerror or error}") from error
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _check_size(item: Item, size: int) -> None:
    if item.size is not None and size != item.size:
        raise RejectedInputError("cut_short", f"{size} bytes came, expected {item.size}")


def _rows(taken: list[tuple[Item, int, Outcome]], plan: StorePlan) -> pa.RecordBatch:
    listed = [
        {
            "uri": item.uri, "path": item.path, "name": item.name, "size_bytes": size, "mtime_at": item.mtime,
            "etag": item.etag, "sidecar_json": item.described.text, "captured_at": item.described.captured_at,
            "group_keys": sorted(item.described.group_keys.items()), "container_uri": item.container_uri,
        }
        for item, size, _ in taken
    ]  # fmt: skip
    return landed_rows(
        pa.RecordBatch.from_pylist(listed, schema=LISTED_SCHEMA), [outcome for _, _, outcome in taken], plan
    )
