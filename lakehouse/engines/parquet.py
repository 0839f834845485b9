"""The data files of tables: Parquet with page checksums, and what Delta's log says about them."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

FILE_BYTES = 128 << 20
"""A file is closed once it has grown to this size."""

GROUP_ROWS = 1 << 20
GROUP_BYTES = 64 << 20
"""A row group ends at either: rows and bytes in memory."""

STATISTICS_COLUMNS = 32
"""Delta keeps statistics of so many columns; readers skip files by them."""

@dataclass(frozen=True, slots=True)
class DataFile:
    """One written file of a table.

    Attributes:
        name: Name in the table's folder.
        size: Bytes.
        sha256: Hash of all bytes.
        statistics: Delta's statistics of it, JSON.
    """

    name: str
    size: int
    sha256: str
    statistics: str


def write_files(folder: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[Path]:
    """Write batches of `schema` as files of a table and yield each when it is closed; no rows, no file."""
    groups = _groups(batches)
    group = next(groups, None)
    while group is not None:
        path = folder / file_name()
        yield path  # before the first byte: whoever cleans up must know it
        with path.open("xb") as file, pq.ParquetWriter(
            # Without the Arrow schema: Spark's files have none, Delta's log knows the types.
            file, schema, write_page_checksum=True, store_schema=False,
        ) as writer:
            while group is not None and file.tell() < FILE_BYTES:
                writer.write_table(pa.Table.from_batches(group, schema), row_group_size=GROUP_ROWS)
                group = next(groups, None)


def file_name() -> str:
    """Return a new name as Delta's writers make them."""
    return f"part-00000-{uuid.uuid4()}-c000.snappy.parquet"


def describe(path: Path) -> DataFile:
    """Return what the log says about a written file, from its bytes and its footer."""
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        size = os.fstat(file.fileno()).st_size
    return DataFile(path.name, size, sha256, json.dumps(statistics(pq.read_metadata(path))))


def describe_bytes(name: str, data: bytes) -> DataFile:
    """Return what the log says about a file of which all bytes are in memory."""
    footer = pq.read_metadata(pa.BufferReader(data))
    return DataFile(name, len(data), hashlib.sha256(data).hexdigest(), json.dumps(statistics(footer)))


def statistics(footer: pq.FileMetaData) -> dict[str, object]:
    """Return Delta's statistics: rows, and nulls of plain columns.

    No smallest and largest values. delta-rs 1.6.6 takes a column without them for one that no row of the file passes a
    filter on, as soon as another column has them (`to_pyarrow_dataset`), and floats and long texts have none. And the
    log is kept for ever: names would still stand in it when their rows were erased. Readers skip by Parquet's own.
    """
    nulls: dict[str, int] = {}
    for place in range(min(footer.num_columns, STATISTICS_COLUMNS)):
        chunks = [footer.row_group(group).column(place) for group in range(footer.num_row_groups)]
        if not chunks or footer.schema.column(place).max_repetition_level:
            continue
        found = [chunk.statistics for chunk in chunks]
        if all(each is not None and each.has_null_count for each in found):
            nulls[chunks[0].path_in_schema] = sum(each.null_count for each in found)
    return {"numRecords": footer.num_rows, "nullCount": nulls}


def _groups(batches: Iterable[pa.RecordBatch]) -> Iterator[list[pa.RecordBatch]]:
    group: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        if not batch.num_rows:
            continue
        group.append(batch)
        rows, size = rows + batch.num_rows, size + batch.nbytes
        if rows >= GROUP_ROWS or size >= GROUP_BYTES:
            yield group
            group, rows, size = [], 0, 0
    if group:
        yield group
