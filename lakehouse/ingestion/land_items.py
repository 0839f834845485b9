"""Landing what a program hands over one by one: bytes, files or streams, with what is said about each."""

from __future__ import annotations

import io
import itertools
import os
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from lakehouse.errors import ConfigError, IngestError, PetrelError, RejectedInputError
from lakehouse.ingestion.landed import keep_stored, store_plan
from lakehouse.ingestion.sources.forms import ITEMS
from lakehouse.ingestion.sources.listing import plain_path
from lakehouse.ingestion.sources.record_text import plain, record_text
from lakehouse.ingestion.sources.sidecar import stated
from lakehouse.ingestion.sources.source import Source
from lakehouse.ingestion.storing.healing import start_healing
from lakehouse.ingestion.storing.items import Described, Item, Readable, store_items
from lakehouse.ingestion.storing.regular import opened
from lakehouse.lake import Lake
from lakehouse.objects import file_uri
from lakehouse.steps.receipts import Receipt
from lakehouse.steps.step import balance, step
from lakehouse.tables.read import head
from schemas.tables import LANDED_FILES

COUNTS = ("seen", "stored", "duplicate", "refused")

Given = tuple[str, bytes | os.PathLike[str] | Readable, Mapping[str, object]]
"""Name, bytes (or the path of a file, or a stream to read once), and what is said about it."""


def land_items(lake: Lake, source: Source | str, items: Iterable[Given]) -> Receipt:
    """Bring in what a program hands over, each item once whatever it is called.

    Items are taken one by one and never held together: an iterator may be longer than the memory. Committed every
    `land.files_per_commit` items; what was committed stays where the iterator, or this process, ends early, and handing
    the same items over again adds nothing.

    Args:
        lake: The lake.
        source: Name of the source, or a `Source` with `form="items"` that says licence, consent, group keys ...
        items: Of (name, bytes | path | stream, metadata); see `Given`. A path is a regular file and no link.

    Returns:
        Receipt with counts seen = stored + duplicate + refused; `stored` counts new distinct bytes.

    Raises:
        IngestError: If the iterator raises, or gives something else.
        ConfigError: If the source has another form.
    """
    if isinstance(source, str):
        source = Source(name=source, folder=ITEMS, form=ITEMS)
    if source.form != ITEMS:
        raise ConfigError(f"source {source.name}: land_items takes a source of form = \"items\", found {source.form}")
    plan = replace(store_plan(lake, source), at_once=1)
    with step(lake, "land") as record:
        healing = start_healing(lake, source, ITEMS, before=head(lake.home, LANDED_FILES))
        counts = record.counts = dict.fromkeys(COUNTS, 0)
        batches = store_items(_items(items, source), plan)
        while some := list(_portion(batches, lake.config.land.files_per_commit)):
            stored = pa.Table.from_batches(some)
            keep_stored(lake, lake.engine.from_arrow(stored), plan, record, healing, again={})
            counts["seen"] += stored.num_rows
        balance("land", "items", {name: counts[name] for name in COUNTS[1:]}, counts["seen"])
        if healing.healed:
            counts["healed"] = healing.healed
    return record.finished()


def _portion(batches: Iterator[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    taken = 0
    for batch in batches:
        yield batch
        taken += batch.num_rows
        if taken >= rows:
            return


def _items(items: Iterable[Given], source: Source) -> Iterator[Item]:
    given = iter(items)
    for number in itertools.count(1):
        try:
            one = next(given, None)
        except PetrelError:
            raise
        except Exception as error:  # It is the caller's own code.
            raise IngestError(
                f"source {source.name}: the iterator of items raised {type(error).__name__}: {error} after "
                f"{number - 1} items; what was committed stays"
            ) from error
        if one is None:
            return
        yield from _item(one, number, source)


def _item(one: Given, number: int, source: Source) -> Iterator[Item]:
    where = f"source {source.name}: item {number}"
    if not (isinstance(one, tuple) and len(one) == 3 and isinstance(one[0], str) and isinstance(one[2], Mapping)):
        raise IngestError(f"{where}: expected (name, bytes | path | stream, metadata), found {type(one).__name__}")
    name, content, metadata = one
    if not name or "\0" in name:
        raise IngestError(f"{where}: {name!r} is no name")
    raw = name.encode("utf-8", "surrogateescape")
    found = stated(source, {key: plain(value) for key, value in metadata.items()}, record_text(metadata), where=where)
    item = Item(
        uri=f"items://{urllib.parse.quote(source.name)}/{urllib.parse.quote_from_bytes(raw)}", path=plain_path(raw),
        name=name.rpartition("/")[2], size=None,
        described=Described(found.text if metadata else None, found.captured_at, dict(found.group_keys)),
    )  # fmt: skip
    if isinstance(content, bytes):
        yield replace(item, content=io.BytesIO(content))
    elif isinstance(content, os.PathLike):
        try:
            with opened(file_uri(Path(content)), ()) as (descriptor, before):
                yield replace(item, content=io.FileIO(descriptor, closefd=False), size=before.st_size)
        except RejectedInputError as error:
            yield replace(item, size=0, rule=error.rule, reason=error.reason)
    elif hasattr(content, "read"):
        yield replace(item, content=content)
    else:
        raise IngestError(f"{where}: expected bytes, a path or a stream, found {type(content).__name__}")
