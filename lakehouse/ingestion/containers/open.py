"""Opening every container of a batch and storing what is in it. Runs in worker processes of either engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.config import LandConfig
from lakehouse.errors import RejectedInputError
from lakehouse.ingestion.containers.archive import read_archive
from lakehouse.ingestion.containers.budget import Budget
from lakehouse.ingestion.containers.container import Container, Reader
from lakehouse.ingestion.containers.parquet import read_parquet
from lakehouse.ingestion.containers.reading import open_container
from lakehouse.ingestion.containers.webdataset import read_webdataset
from lakehouse.ingestion.sources.forms import ARCHIVES, PARQUET, WEBDATASET
from lakehouse.ingestion.sources.patterns import LeftOut, Wanted
from lakehouse.ingestion.sources.source import Source
from lakehouse.ingestion.storing.items import Item, store_items
from lakehouse.ingestion.storing.pending import StorePlan
from lakehouse.ingestion.storing.store import STORED_SCHEMA
from lakehouse.steps.outputs import TARGET, union_schema
from lakehouse.tables.finish import finish_row
from schemas.canonical import content_id
from schemas.tables import CONTAINERS, LANDED_FILES

READERS: Mapping[str, Reader] = {ARCHIVES: read_archive, WEBDATASET: read_webdataset, PARQUET: read_parquet}

OPENED_SCHEMA = pa.schema([
    *union_schema(LANDED_FILES, CONTAINERS),
    *(pa.field(each.name, each.type) for each in STORED_SCHEMA if each.name not in LANDED_FILES.column_names),
])
"""Rows of bronze.landed_files as `STORED_SCHEMA` has them, and of bronze.containers, told apart by a tag."""


@dataclass(frozen=True, slots=True)
class OpenPlan:
    """What the workers need to know.

    Attributes:
        store: How what is in the containers is stored.
        source: What they belong to.
        reading: Content id of all that the source says.
        limits: What one may unpack to.
    """

    store: StorePlan
    source: Source
    reading: str
    limits: LandConfig


def open_batches(batches: Iterator[pa.RecordBatch], *, plan: OpenPlan) -> Iterator[pa.RecordBatch]:
    """Open every listed container and yield rows of `OPENED_SCHEMA`: of what is in it, then its own.

    One that cannot be read to its end is a refused file beside those that came before, and has no row of its own: it
    is opened again.

    Args:
        batches: Rows of `LISTED_SCHEMA`.
        plan: See `OpenPlan`.
    """
    for batch in batches:
        for listed in batch.to_pylist():
            yield from _open(listed, plan)


def _open(listed: Mapping[str, object], plan: OpenPlan) -> Iterator[pa.RecordBatch]:
    limits = plan.limits
    packed = int(str(listed["size_bytes"]))
    container = Container(
        uri=str(listed["uri"]), path=str(listed["path"]), source=plan.source, left_out=0, names=set(),
        budget=Budget(packed, limits.max_members, limits.max_unpacked_bytes, limits.max_unpacked_ratio),
        wanted=Wanted(plan.source, LeftOut()),
    )  # fmt: skip
    kept = refused = 0
    is_whole = True
    for rows in store_items(_items(listed, container, plan), plan.store):
        whole = rows["uri"].to_pylist()
        is_whole &= container.uri not in whole
        statuses = pc.equal(rows["status"], "refused").to_pylist()
        refused += sum(statuses)
        kept += len(statuses) - sum(statuses)
        yield _tagged(rows)
    if is_whole:
        yield _own_row(listed, container, plan, kept=kept, refused=refused)


def _items(listed: Mapping[str, object], container: Container, plan: OpenPlan) -> Iterator[Item]:
    """Yield what is in a container; where it ends too early, the container itself as refused."""
    etag = None if listed["etag"] is None else str(listed["etag"])
    try:
        if listed["rule"] is not None:
            raise RejectedInputError(str(listed["rule"]), str(listed["reason"]))
        with open_container(container.uri, container.budget.packed, etag, plan.store) as (stream, size):
            container.budget.packed = size
            yield from READERS[plan.source.form](stream, container)
    except RejectedInputError as error:
        yield Item(
            uri=container.uri, path=container.path, name=str(listed["name"]), size=container.budget.packed,
            mtime=listed["mtime_at"], etag=etag, rule=error.rule, reason=error.reason,  # type: ignore[arg-type]
        )  # fmt: skip


def _own_row(
    listed: Mapping[str, object], container: Container, plan: OpenPlan, *, kept: int, refused: int
) -> pa.RecordBatch:
    seen = [listed[name] for name in ("uri", "size_bytes", "mtime_at", "etag")]
    row = {name: listed[name] for name in ("uri", "path", "size_bytes", "mtime_at", "etag")} | {
        "container_id": content_id([plan.source.name, plan.source.drop, *seen, plan.reading]),
        "source": plan.source.name, "drop_name": plan.source.drop, "form": plan.source.form, "reading": plan.reading,
        "num_kept": kept, "num_refused": refused, "num_left_out": container.left_out,
    }  # fmt: skip
    finished = finish_row(row, CONTAINERS, plan.store.now)
    return pa.RecordBatch.from_pylist([{TARGET: CONTAINERS.name, **finished}], schema=OPENED_SCHEMA)


def _tagged(rows: pa.RecordBatch) -> pa.RecordBatch:
    names = {field.name for field in STORED_SCHEMA}
    arrays = [
        pa.repeat(pa.scalar(LANDED_FILES.name), rows.num_rows) if field.name == TARGET
        else rows[field.name] if field.name in names else pa.nulls(rows.num_rows, field.type)
        for field in OPENED_SCHEMA
    ]  # fmt: skip
    return pa.RecordBatch.from_arrays(arrays, schema=OPENED_SCHEMA)
