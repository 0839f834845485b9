"""webdataset and parquet: many entities in one file, cut by size; `<split>-00000.tar`, `<split>-00000.parquet`."""

from __future__ import annotations

import functools
import io
import json
import tarfile
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from lakehouse.datasets.selecting.own_fields import read_values
from lakehouse.exporting.cutting import cut
from lakehouse.exporting.names import file_of
from lakehouse.exporting.rows import Row
from lakehouse.exporting.writing import Job, with_bytes
from lakehouse.target import Target
from loaders.format.fields import TYPES
from schemas.canonical import text_json

WITHOUT_SPLIT = "data"
GROUP_BYTES, GROUP_ROWS = 8 << 20, 10_000
"""A row group of Parquet ends there; its bytes are in memory."""

Write = Callable[[Job, Path, list[Row]], None]
Groups = Callable[[list[tuple[Row, bytes]]], pa.Table]


class Written(NamedTuple):
    """One shard: its split, name, rows and bytes."""

    split: str | None
    name: str
    rows: int
    size_bytes: int


def write_tars(job: Job, rows: Iterable[Row], target: Target) -> None:
    """Write tar files in which each sample is its bytes and a JSON file of the same key, as WebDataset reads them."""
    write_shards(job, rows, target, functools.partial(_name, ending=".tar"), _write_tar)


def write_parquet(job: Job, rows: Iterable[Row], target: Target) -> None:
    """Write Parquet files with a column `content` of the bytes."""
    write_shards(job, rows, target, functools.partial(_name, ending=".parquet"), _write_parquet)


def write_shards(
    job: Job, rows: Iterable[Row], target: Target, name: Callable[[str | None, int], str], write: Write
) -> list[Written]:
    """Write rows in shards that are not there yet; return all of them.

    Args:
        job: What is exported.
        rows: Its rows, in order.
        target: Where they go.
        name: From split and number in it, from 0, to the name of a file.
        write: Writes one file.
    """
    found = []
    for split, number, shard in cut(rows, job.shard_bytes):
        called = name(split, number)
        # What is there was written whole, and from the same rows: they are part of the export's id.
        if target.has(called):
            job.advance(len(shard))
            found.append(Written(split, called, len(shard), target.had[called]))
            continue
        path = job.scratch / f"{uuid.uuid4().hex}.shard"
        try:
            write(job, path, shard)
            target.put(called, path)
            found.append(Written(split, called, len(shard), path.stat().st_size))
        finally:
            path.unlink(missing_ok=True)
    return found


def _name(split: str | None, number: int, *, ending: str) -> str:
    return f"{split or WITHOUT_SPLIT}-{number:05}{ending}"


def _write_tar(job: Job, path: Path, shard: list[Row]) -> None:
    # GNU's form: entries may be larger than 8 GiB. Without times and owners, so that equal shards are equal bytes.
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
        for row, data in with_bytes(job, shard):
            said = json.dumps(job.described(row), ensure_ascii=False).encode()
            for name, content in ((file_of(row.entity_id, row.media_type), data), (f"{row.entity_id}.json", said)):
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))


def _write_parquet(job: Job, path: Path, shard: list[Row]) -> None:
    schema = _schema(job)
    write_groups(job, path, shard, schema, functools.partial(_table, job, schema=schema))


def write_groups(job: Job, path: Path, shard: list[Row], schema: pa.Schema, table: Groups) -> None:
    """Write one Parquet file, a row group in memory at a time."""
    with pq.ParquetWriter(
        path, schema, compression="none", use_dictionary=False, write_statistics=False, write_page_checksum=True
    ) as writer:
        group: list[tuple[Row, bytes]] = []
        size = 0
        for row, data in with_bytes(job, shard):
            if group and (size + len(data) > GROUP_BYTES or len(group) == GROUP_ROWS):
                writer.write_table(table(group))
                group, size = [], 0
            group.append((row, data))
            size += len(data)
        writer.write_table(table(group))


def _schema(job: Job) -> pa.Schema:
    selection = job.selection
    columns = {"entity_id": pa.string(), "content": pa.large_binary(), "media_type": pa.string(),
               "size_bytes": pa.int64()}  # fmt: skip
    columns |= dict.fromkeys(selection.roles, pa.string())
    if selection.numbers_labels:
        columns |= {"label_index": pa.int64()}
    if selection.answers:
        columns |= {"answer_json": pa.string()}
    return pa.schema([*columns.items(), *((name, TYPES[kind]) for name, kind in selection.fields.items())])


def _table(job: Job, group: list[tuple[Row, bytes]], schema: pa.Schema) -> pa.Table:
    own = read_values([text_json(dict(row.fields)) for row, _ in group], job.selection.fields, TYPES)
    rows = [
        {**job.described(row), "content": data, "answer_json": None if row.answer is None else text_json(row.answer)}
        for row, data in group
    ]
    columns = [
        own[name] if name in own.column_names else pa.array([row.get(name) for row in rows], schema.field(name).type)
        for name in schema.names
    ]
    return pa.table(columns, schema=schema)
