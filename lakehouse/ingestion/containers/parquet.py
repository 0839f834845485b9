"""Parquet shards with files in a column: `image {bytes, path}` as Hugging Face's `datasets` writes them, or bytes."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from lakehouse.errors import RejectedInputError
from lakehouse.ingestion.containers.container import Container
from lakehouse.ingestion.containers.member import Member, item_of
from lakehouse.ingestion.sources.forms import ParquetOptions
from lakehouse.ingestion.sources.record_text import record_text
from lakehouse.ingestion.storing.items import Described, Item

BATCH_BYTES = 32 << 20
"""Bytes of the rows that are in memory at once, about; a row is as large as it is."""

GROUP_BYTES = 4 << 30
"""Unpacked bytes of one column in one row group; a page of it is in memory whole."""


def read_parquet(stream: BinaryIO, container: Container) -> Iterator[Item]:
    """Yield the files of a shard, row by row; its other columns are their sidecar record.

    Raises:
        RejectedInputError: If it is no Parquet, is damaged, or no column holds files.
    """
    options: ParquetOptions = container.source.chosen_options
    try:
        shard = pq.ParquetFile(pa.PythonFile(stream, "r"), page_checksum_verification=True)
        columns = file_columns(shard.schema_arrow, options)
        yield from _rows(shard, columns, options, container)
    except (pa.ArrowException, OSError) as error:
        rule = "archive_broken" if container.budget.members else "not_an_archive"
        raise RejectedInputError(rule, f"cannot be read as Parquet: {error}") from error


def file_columns(schema: pa.Schema, options: ParquetOptions) -> list[str]:
    """Return the columns that hold files.

    Raises:
        RejectedInputError: If there is none, or a column that is named is missing or of another type.
    """
    holding = [each.name for each in schema if _holds_files(each.type)]
    missing = [name for name in (*options.columns, options.name) if name and name not in schema.names]
    unfit = [name for name in options.columns if name not in holding]
    if missing or unfit or not holding:
        expected = ", ".join(options.columns) or "a column of bytes, or of {bytes, path}"
        found = ", ".join(f"{each.name} {each.type}" for each in schema)
        raise RejectedInputError("no_file_column", f"expected {expected}; found {found}")
    return list(options.columns) or holding


def _holds_files(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        names = [kind.field(number).name for number in range(kind.num_fields)]
        return "bytes" in names and _holds_files(kind.field("bytes").type)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _rows(
    shard: pq.ParquetFile, columns: list[str], options: ParquetOptions, container: Container
) -> Iterator[Item]:
    number = 0
    for group in range(shard.num_row_groups):
        told = shard.metadata.row_group(group)
        largest = max(told.column(each).total_uncompressed_size for each in range(told.num_columns))
        if largest > GROUP_BYTES:
            raise RejectedInputError("too_large", f"row group {group}: a column of {largest} bytes, limit "
                                     f"{GROUP_BYTES}")
        container.budget.spend(told.total_byte_size)
        rows_at_once = max(1, min(1024, BATCH_BYTES * told.num_rows // max(1, told.total_byte_size)))
        for batch in shard.iter_batches(batch_size=rows_at_once, row_groups=[group], use_threads=False):
            for row in batch.to_pylist():
                yield from _row(row, number, columns, options, container)
                number += 1


def _row(
    row: Mapping[str, Any], number: int, columns: list[str], options: ParquetOptions, container: Container
) -> Iterator[Item]:
    values = {name: value for name, value in row.items() if name not in columns}
    described = Described()
    container.describe(values, record_text(values), described, where=f"row {number}")
    for column in columns:
        container.budget.count()
        value = row[column]
        data, path = (value.get("bytes"), value.get("path")) if isinstance(value, dict) else (value, None)
        told = row[options.name] if options.name else path
        # Rows have no names of their own; a path beside the bytes is for people, and need not be the only one.
        name = f"{number}/{column}" + (f"/{_last(str(told))}" if told else "")
        member = Member(name.encode("utf-8", "surrogatepass"), len(data or b""), rule="no_bytes", reason="a row "
                        "without bytes" + (f"; they are at {told!r}: land that, or a manifest" if told else ""))
        if data is not None:
            member = Member(member.name, len(data), io.BytesIO(data))
        yield item_of(container.uri, container.path, member, member.name, described)


def _last(path: str) -> str:
    last = path.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return last if last not in ("", ".", "..") else "file"
