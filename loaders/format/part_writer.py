"""Write one Parquet file of a dataset: the task that a pool or a cluster runs many of."""

from __future__ import annotations

import hashlib
import math
import os
import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from loaders.errors import FormatError
from loaders.format.digest import row_hashes
from loaders.format.fields import Field, arrow_schema, check_fields, is_number_list, numpy_dtype
from loaders.format.manifest import PART_NAME, PartReceipt
from loaders.stores.files import TEMPORARY_PREFIX, sha256_file, sync_file, sync_folder
from schemas.digest import Digest, digest_of

LARGE_VALUE_BYTES = 256 << 10
"""Arrays of this size get a page of their own each: FORMAT.md, "Parquet files"."""

_SMALL_PAGE = 64 << 10  # a page ends after the value with which it reaches this
_WHOLE_PAGE = 1 << 30  # never reached: row groups are smaller
_TAIL_BYTES = 8


def write_part(
    data: pa.Table | Iterable[pa.RecordBatch],
    path: str | Path,
    fields: Sequence[Field],
    *,
    row_groups: Sequence[int] | None = None,
) -> PartReceipt:
    """Write one part into the staging folder and say what was written.

    Can be run twice, also at once: the file appears whole, under its name, by a rename, and holds the same bytes
    each time. Holds about two row groups in memory when `data` is an iterator of record batches.

    Args:
        data: The rows in write order, with the columns of `fields` (others are an error, order is free).
        path: `<staging>/<split>/part-00000.parquet`; the folder is made if it is missing.
        fields: The columns to store.
        row_groups: Rows in each row group, from `plan_parts`; None puts all rows into one.

    Returns:
        The receipt that `publish` wants; `to_json` makes it travel.

    Raises:
        FormatError: If columns, types, nulls, array sizes or the number of rows are not as declared.
    """
    path = Path(path)
    fields = check_fields(fields)
    if not PART_NAME.fullmatch(path.name):
        raise FormatError(f"{path}: a part is named like part-00000.parquet")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}-{path.name}")
    try:
        digest, rows_sha256 = _write(data, temporary, fields, row_groups)
        receipt = _receipt(path.name, temporary, digest, rows_sha256)
        sync_file(temporary)
        os.replace(temporary, path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)
    return receipt


def _write(
    data: pa.Table | Iterable[pa.RecordBatch], path: Path, fields: tuple[Field, ...], row_groups: Sequence[int] | None
) -> tuple[Digest, str]:
    schema = stored_schema(fields)
    texts = [field.name for field in fields if pa.types.is_string(field.type)]
    numbers = [name for name, kind in zip(schema.names, schema.types, strict=True) if numpy_dtype(kind)]
    # Images and arrays are already compressed or do not compress; uncompressed pages are read without a copy.
    # Only text repeats enough for a dictionary. Statistics of binary values are bytes nobody reads. A column of a row
    # group is one page, so that its values lie side by side; large arrays have a page each, so that one can be read.
    has_large = any(_array_bytes(field) >= LARGE_VALUE_BYTES for field in fields)
    settings: dict[str, object] = {
        "compression": "none",
        "use_dictionary": texts or False,
        "write_statistics": texts + numbers or False,
        "write_page_checksum": True,
        "data_page_size": _SMALL_PAGE if has_large else _WHOLE_PAGE,
        "max_rows_per_page": _WHOLE_PAGE,
        "write_batch_size": 1 if has_large else 1024,
    }
    digest, order = Digest(), hashlib.sha256()
    with pq.ParquetWriter(path, schema, **settings) as writer:
        for group in _groups(data, fields, arrow_schema(fields), row_groups):
            hashes = row_hashes(group, fields)
            digest += digest_of(hashes)
            order.update(b"".join(hashes))
            writer.write_table(group.cast(schema), row_group_size=max(1, group.num_rows))
    return digest, order.hexdigest()


def stored_schema(fields: Sequence[Field]) -> pa.Schema:
    """Return the Arrow schema of a file: arrays of a fixed shape are fixed-size binary, their values side by side."""
    schema = arrow_schema(fields)
    for at, field in enumerate(fields):
        if field.codec == "ndarray":
            schema = schema.set(at, pa.field(field.name, pa.binary(_array_bytes(field)), nullable=field.nullable))
    return schema


def _array_bytes(field: Field) -> int:
    """Bytes of one value of an `ndarray` column, 0 for other codecs."""
    return math.prod(field.fixed_shape or ()) * np.dtype(field.dtype).itemsize if field.codec == "ndarray" else 0


def _groups(
    data: pa.Table | Iterable[pa.RecordBatch],
    fields: tuple[Field, ...],
    schema: pa.Schema,
    row_groups: Sequence[int] | None,
) -> Iterator[pa.Table]:
    batches = iter(data.to_batches() if isinstance(data, pa.Table) else data)
    if row_groups is None:
        whole = [_checked(batch, fields, schema) for batch in batches]
        if sum(batch.num_rows for batch in whole):
            yield pa.Table.from_batches(whole, schema).combine_chunks()
        return
    waiting: list[pa.RecordBatch] = []
    held = 0
    for number, wanted in enumerate(row_groups):
        if wanted <= 0:
            raise FormatError(f"row group {number} is planned with {wanted} rows; at least one is needed")
        while held < wanted and (batch := next(batches, None)) is not None:
            waiting.append(_checked(batch, fields, schema))
            held += batch.num_rows
        if held < wanted:
            raise FormatError(f"row group {number} is planned with {wanted} rows, only {held} are left")
        table = pa.Table.from_batches(waiting, schema)
        yield table.slice(0, wanted).combine_chunks()
        waiting, held = table.slice(wanted).to_batches(), held - wanted
    left = held + sum(batch.num_rows for batch in batches)
    if left:
        raise FormatError(f"{left} rows are left after the {sum(row_groups)} planned ones")


def _checked(batch: pa.RecordBatch, fields: tuple[Field, ...], schema: pa.Schema) -> pa.RecordBatch:
    found, wanted = set(batch.schema.names), set(schema.names)
    if found != wanted or len(batch.schema.names) != len(schema.names):
        raise FormatError(f"expected columns {sorted(wanted)}, found {sorted(batch.schema.names)}")
    arrays = []
    for field in fields:
        values = batch.column(field.name)
        if not values.type.equals(field.type):
            raise FormatError(f"column {field.name}: expected type {field.type}, found {values.type}")
        if values.null_count and not field.nullable:
            raise FormatError(f"column {field.name}: {values.null_count} nulls, but the field is not nullable")
        _check_values(values, field)
        arrays.append(values)
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _check_values(values: pa.Array, field: Field) -> None:
    """Refuse what would not fit into one array of the declared shape, or into 32-bit offsets."""
    if is_number_list(field.type) and values.flatten().null_count:
        raise FormatError(f"column {field.name}: a list of numbers holds nulls; use NaN or a nullable field")
    if field.classes is not None and pa.types.is_integer(field.type):
        found = pc.min_max(values).as_py()
        if found["min"] is not None and not 0 <= found["min"] <= found["max"] < len(field.classes):
            raise FormatError(
                f"column {field.name}: class numbers go from 0 to {len(field.classes) - 1}, found {found['min']} to "
                f"{found['max']}"
            )
    shape = field.fixed_shape
    if not shape or field.codec not in ("raw", "ndarray"):
        return
    if field.codec == "ndarray":
        wanted = _array_bytes(field)
        lengths = pc.binary_length(values)
    else:
        wanted, lengths = shape[0], pc.list_value_length(values)
    others = {value for value in pc.unique(lengths).to_pylist() if value is not None} - {wanted}
    if others:
        raise FormatError(
            f"column {field.name}: every value must have length {wanted} for shape {shape}, found {sorted(others)[:5]}"
        )


def _receipt(name: str, path: Path, digest: Digest, rows_sha256: str) -> PartReceipt:
    with path.open("rb") as stream:
        stream.seek(-_TAIL_BYTES, os.SEEK_END)
        footer_bytes = int.from_bytes(stream.read(4), "little") + _TAIL_BYTES
    size = path.stat().st_size
    metadata = pq.read_metadata(path)
    groups = [metadata.row_group(at) for at in range(metadata.num_row_groups)]
    return PartReceipt(
        name=name,
        bytes=size,
        rows=metadata.num_rows,
        row_groups=tuple(group.num_rows for group in groups),
        row_group_bytes=tuple(group.total_byte_size for group in groups),
        sha256=sha256_file(path),
        footer_bytes=footer_bytes,
        footer_sha256=sha256_file(path, start=size - footer_bytes),
        rows_sha256=rows_sha256,
        digest=digest,
    )
