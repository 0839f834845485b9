"""The data files of tables: Parquet with page checksums, and what Delta's log says about them."""

from __future__ import annotations

import hashlib
import json
import os
import re
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

FILE_BYTES = 128 << 20
"""A file is closed once it has grown to this size."""

GROUP_ROWS = 1 << 20
GROUP_BYTES = 64 << 20
"""A row group ends at either: rows and bytes in memory."""

STATISTICS_COLUMNS = 32
"""Delta keeps statistics of so many columns; readers skip files by them."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_ID = re.compile(r"[0-9a-f]{32,64}")
"""Texts that get a smallest and largest value: ids and hashes, by which readers skip. Names and words do not: the
log is kept for ever, and would still have them when their rows were erased."""


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


def statistics(footer: pq.FileMetaData) -> dict[str, object]:
    """Return Delta's statistics: rows, and of plain columns nulls, smallest and largest value."""
    nulls: dict[str, int] = {}
    least: dict[str, object] = {}
    most: dict[str, object] = {}
    for place in range(min(footer.num_columns, STATISTICS_COLUMNS)):
        chunks = [footer.row_group(group).column(place) for group in range(footer.num_row_groups)]
        name = chunks[0].path_in_schema if chunks else ""
        found = [chunk.statistics for chunk in chunks]
        if not chunks or footer.schema.column(place).max_repetition_level or not all(found):
            continue
        if all(each.has_null_count for each in found):
            nulls[name] = sum(each.null_count for each in found)
        values = [each for each in found if each.null_count < each.num_values + each.null_count]
        if not values or not all(each.has_min_max for each in values):
            continue
        ends = [_value(end, each) for each in values for end in (each.min_raw, each.max_raw)]
        if all(_comparable(end) for end in ends):
            least[name], most[name] = _plain(min(ends)), _plain(max(ends))
    return {"numRecords": footer.num_rows, "minValues": least, "maxValues": most, "nullCount": nulls}


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


def _value(raw: Any, found: pq.Statistics) -> Any:
    # pyarrow's own conversion, `Statistics.min`, begins with importing pandas: a quarter of a second.
    kind = str(found.logical_type.type)
    if kind == "STRING":
        return raw.decode()
    if kind == "TIMESTAMP":
        return EPOCH + timedelta(microseconds=raw) if _is_micros(found) else None
    return raw if kind in ("NONE", "INT") else None


def _is_micros(found: pq.Statistics) -> bool:
    return bool(json.loads(found.logical_type.to_json()).get("timeUnit") == "microseconds")


def _comparable(value: object) -> bool:
    # Not floats: readers disagree on NaN and on -0.0.
    return isinstance(value, bool | int | datetime) or (isinstance(value, str) and _ID.fullmatch(value) is not None)


def _plain(value: object) -> object:
    return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if isinstance(value, datetime) else value
