"""webdataset and parquet: many entities in one file, cut by size; `<split>-00000.tar`, `<split>-00000.parquet`."""

from __future__ import annotations

import io
import json
import tarfile
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lakehouse.datasets.own_fields import read_values
from lakehouse.exporting.names import file_of
from lakehouse.exporting.rows import Row
from lakehouse.exporting.target import Target
from lakehouse.exporting.writing import Job, with_bytes
from loaders.format.fields import TYPES
from schemas.canonical import text_json

WITHOUT_SPLIT = "data"
MOST_ROWS = 100_000
"""Of a shard; who and what they are is in memory while it is written."""

GROUP_BYTES, GROUP_ROWS = 8 << 20, 10_000
"""A row group of Parquet ends there; its bytes are in memory."""

Shard = tuple[str, list[Row]]
Write = Callable[[Job, Path, list[Row]], None]


def write_tars(job: Job, rows: Iterable[Row], target: Target) -> None:
    """Write tar files in which each sample is its bytes and a JSON file of the same key, as WebDataset reads them."""
    _write_shards(job, rows, target, ".tar", _write_tar)


def write_parquet(job: Job, rows: Iterable[Row], target: Target) -> None:
    """Write Parquet files with a column `content` of the bytes."""
    _write_shards(job, rows, target, ".parquet", _write_parquet)


def _write_shards(job: Job, rows: Iterable[Row], target: Target, ending: str, write: Write) -> None:
    for name, shard in _cut(rows, job.shard_bytes):
        # What is there was written whole, and from the same rows: they are part of the export's id.
        if target.has(name + ending):
            job.advance(len(shard))
            continue
        path = job.scratch / f"{uuid.uuid4().hex}{ending}"
        try:
            write(job, path, shard)
            target.put(name + ending, path)
        finally:
            path.unlink(missing_ok=True)


def _cut(rows: Iterable[Row], most_bytes: int) -> Iterator[Shard]:
    shard: list[Row] = []
    size = number = 0
    for row in rows:
        is_other = bool(shard) and row.split != shard[0].split
        if shard and (is_other or size + row.size_bytes > most_bytes or len(shard) == MOST_ROWS):
            yield _named(shard, number), shard
            shard, size, number = [], 0, 0 if is_other else number + 1
        shard.append(row)
        size += row.size_bytes
    if shard:
        yield _named(shard, number), shard


def _named(shard: list[Row], number: int) -> str:
    return f"{shard[0].split or WITHOUT_SPLIT}-{number:05}"


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
    with pq.ParquetWriter(
        path, schema, compression="none", use_dictionary=False, write_statistics=False, write_page_checksum=True
    ) as writer:
        group: list[tuple[Row, bytes]] = []
        size = 0
        for row, data in with_bytes(job, shard):
            if group and (size + len(data) > GROUP_BYTES or len(group) == GROUP_ROWS):
                writer.write_table(_table(job, group, schema))
                group, size = [], 0
            group.append((row, data))
            size += len(data)
        writer.write_table(_table(job, group, schema))


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
