"""Write a Petastorm dataset without Spark: rows go through the codecs of a schema into Parquet files.

    write_rows("file:///data/hello_world", HelloWorldSchema, rows, row_group_size_mb=32)

Petrel and Petastorm 0.13 read it with `make_reader`; its plain columns anything that reads Parquet.
"""

from __future__ import annotations

import re
import shutil
import sys
import uuid
from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from loaders.petastorm import spark_types
from loaders.petastorm.codecs import CompressedImageCodec, CompressedNdarrayCodec, ScalarCodec
from loaders.petastorm.etl._materialize import write_metadata
from loaders.petastorm.etl._storing import Place
from loaders.petastorm.etl.stored_schema import unischema_bytes
from loaders.petastorm.kinds import Value
from loaders.petastorm.unischema import Unischema, UnischemaField, encode_row
from loaders.stores.files import TEMPORARY_PREFIX, rename_folder_no_replace

_DEFAULT_ROW_GROUP_MB = 32
"""Row groups are what is shuffled, shared among ranks and held in memory by a reader."""

_FILE_BYTES = 512 << 20
_MOST_OPEN = 64
_MOST_GATHERED = 8
"""Row groups' worth of rows that wait in memory, where there are many partitions."""

_COMPRESSED = (CompressedImageCodec, CompressedNdarrayCodec)

_NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"
_ESCAPED = re.compile(r"""[\x00-\x1f\x7f"#%'*/:=?\\{\[\]^]""")


def write_rows(
    dataset_url: str,
    schema: Unischema,
    rows: Iterable[Mapping[str, Value]],
    row_group_size_mb: float | None = None,
    *,
    rows_per_row_group: int | None = None,
    partition_by: Sequence[str] = (),
    overwrite: bool = False,
    filesystem: object | None = None,
) -> None:
    """Write rows as a new dataset; it appears whole on a local disk, and with its metadata last elsewhere.

    Args:
        dataset_url: Its folder.
        schema: The fields; their codecs encode the values.
        rows: Dicts of values as `make_reader` gives them; what is missing and may be is null. Read once.
        row_group_size_mb: A row group ends with the row that makes its encoded values as large; None means 32.
        rows_per_row_group: A row group ends with this many rows at the latest.
        partition_by: Names of fields that become folders, `name=value`, as in Hive.
        overwrite: Replace what is there; elsewhere than on a local disk it is deleted before the first row is written.
        filesystem: One of `pyarrow.fs` or `fsspec`, instead of one made from the URL.

    Raises:
        FileExistsError: If the folder is there and not to be overwritten.
        ValueError: If a row does not fit the schema, there are no rows, or the schema cannot be stored.
    """
    place = Place(dataset_url, filesystem=filesystem)
    if place.exists and not overwrite:
        raise FileExistsError(f"{dataset_url} is there already; pass overwrite=True to replace it")
    if unknown := [name for name in partition_by if name not in schema.fields]:
        raise ValueError(f"partition_by names {', '.join(unknown)}, which the schema does not have")
    unischema_bytes(schema)  # what cannot be stored is to be known before the rows are written
    columns = arrow_schema(schema)
    stored = pa.schema([column for column in columns if column.name not in partition_by])
    if place.is_local:
        final = Path(place.path)
        place.path = str(final.with_name(f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}-{final.name}"))
    else:
        place.delete()
    row_group_bytes = int((row_group_size_mb or _DEFAULT_ROW_GROUP_MB) * (1 << 20))
    try:
        writer = _Writer(place, schema, stored, row_group_bytes, rows_per_row_group or sys.maxsize)
        try:
            _write(writer, schema, rows, partition_by)
        finally:
            writer.close()
        write_metadata(place, schema)
    except BaseException:
        place.delete()
        raise
    if place.is_local:
        _replace(Path(place.path), final)


def arrow_schema(schema: Unischema) -> pa.Schema:
    """Return the columns in which the values of a schema's fields are stored.

    Raises:
        ValueError: If there is no column for a field: without a codec it is a number, text, bytes, or a list of such.
    """
    return pa.schema([pa.field(field.name, _arrow_type(field), field.nullable) for field in schema.fields.values()])


def _arrow_type(field: UnischemaField) -> pa.DataType:
    if isinstance(field.codec, ScalarCodec):
        return spark_types.arrow_type(field.codec.stored_type)
    if field.codec is not None:
        return pa.binary()
    kind = spark_types.type_of_numpy(field.numpy_dtype)
    if kind is None or len(field.shape) > 1:
        raise ValueError(f"field {field.name!r} of {field.numpy_dtype}, shape {field.shape}, needs a codec")
    if not field.shape:
        return spark_types.arrow_type(kind)
    return pa.list_(pa.binary() if np.dtype(field.numpy_dtype).kind == "S" else spark_types.arrow_type(kind))


class _Writer:
    """Gathers rows of folders and writes them as row groups.

    Each folder has a file that is written; the ones that were longest without a new row group are closed where there
    are many, and the next row group begins another file.
    """

    def __init__(
        self, place: Place, schema: Unischema, columns: pa.Schema, row_group_bytes: int, most_rows: int
    ) -> None:
        self._place, self._columns = place, columns
        self._row_group_bytes, self._most_rows = row_group_bytes, most_rows
        self._compression = {
            name: "none" if isinstance(schema.fields[name].codec, _COMPRESSED) else "snappy" for name in columns.names
        }
        self._gathered: dict[str, _Gathered] = {}
        self._waiting = 0  # bytes of all that is gathered
        self._open: OrderedDict[str, tuple[pq.ParquetWriter, pa.NativeFile]] = OrderedDict()
        self._files: Counter[str] = Counter()

    def add(self, folder: str, row: Mapping[str, Value]) -> None:
        """Take one encoded row of a folder, "" for the dataset's own."""
        gathered = self._gathered.setdefault(folder, _Gathered())
        gathered.rows.append(row)
        size = sum(len(value) if hasattr(value, "__len__") else 8 for value in row.values())
        gathered.bytes += size
        self._waiting += size
        if gathered.bytes >= self._row_group_bytes or len(gathered.rows) >= self._most_rows:
            self._write(folder)
        elif self._waiting >= _MOST_GATHERED * self._row_group_bytes:
            self._write(max(self._gathered, key=lambda name: self._gathered[name].bytes))

    def finish(self) -> None:
        """Write what is left."""
        for folder in list(self._gathered):
            self._write(folder)

    def close(self) -> None:
        """Close all files."""
        while self._open:
            self._close(next(iter(self._open)))

    def _write(self, folder: str) -> None:
        gathered = self._gathered.pop(folder)
        rows = gathered.rows
        self._waiting -= gathered.bytes
        arrays = []
        for column in self._columns:
            values = [row[column.name] for row in rows]
            try:
                arrays.append(pa.array(values, column.type))
            except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
                raise ValueError(f"field {column.name!r} does not fit its column of {column.type}: {error}") from error
        writer, stream = self._writer(folder)
        writer.write_table(pa.table(arrays, schema=self._columns), row_group_size=len(rows))
        if stream.tell() >= _FILE_BYTES:
            self._close(folder)

    def _writer(self, folder: str) -> tuple[pq.ParquetWriter, pa.NativeFile]:
        if folder in self._open:
            self._open.move_to_end(folder)
            return self._open[folder]
        if len(self._open) >= _MOST_OPEN:
            self._close(next(iter(self._open)))
        path = "/".join(part for part in (self._place.path, folder) if part)
        self._place.store.create_dir(path, recursive=True)
        stream = self._place.store.open_output_stream(f"{path}/part-{self._files[folder]:05d}.parquet")
        self._files[folder] += 1
        writer = pq.ParquetWriter(
            stream, self._columns, compression=self._compression, write_page_checksum=True, use_dictionary=self._texts()
        )
        self._open[folder] = writer, stream
        return writer, stream

    def _texts(self) -> list[str]:
        return [column.name for column in self._columns if pa.types.is_string(column.type)]

    def _close(self, folder: str) -> None:
        writer, stream = self._open.pop(folder)
        writer.close()
        stream.close()


@dataclass(slots=True)
class _Gathered:
    """Encoded rows that are not written yet."""

    rows: list[Mapping[str, Value]] = field(default_factory=list)
    bytes: int = 0


def _write(
    writer: _Writer, schema: Unischema, rows: Iterable[Mapping[str, Value]], partition_by: Sequence[str]
) -> None:
    is_empty = True
    for row in rows:
        is_empty = False
        encoded = encode_row(schema, dict(row))
        folder = "/".join(_partition(name, encoded.pop(name)) for name in partition_by)
        writer.add(folder, encoded)
    if is_empty:
        raise ValueError("no rows; a dataset needs at least one")
    writer.finish()


def _partition(name: str, value: Value) -> str:
    """Return the folder's name for a value, with the characters escaped that Hive and Spark escape, and no others."""
    if value is None:
        return f"{name}={_NULL_PARTITION}"
    said = str(value).lower() if isinstance(value, bool) else str(value)
    if not said:
        raise ValueError(f"partition_by {name!r}: an empty text cannot be a folder's name")
    return f"{name}={_ESCAPED.sub(lambda found: f'%{ord(found[0]):02X}', said)}"


def _replace(made: Path, final: Path) -> None:
    """Give the folder its name, and delete the one that had it."""
    old = made.with_name(f"{made.name}.old")
    with suppress(FileNotFoundError):
        final.rename(old)
    rename_folder_no_replace(made, final)
    shutil.rmtree(old, ignore_errors=True)
