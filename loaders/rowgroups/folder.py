"""Any folder of Parquet files, read row group by row group: ours, Petastorm's, Spark's, Hive's, or a list of files."""

from __future__ import annotations

import json
import posixpath
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from loaders.errors import CorruptionError, DeadlineError, FormatError, StorageError
from loaders.reading.row_group import decode, fetch
from loaders.rowgroups.listing import COMMON_METADATA, METADATA, Entry, Listing, list_files
from loaders.rowgroups.partitions import Value, partitions_of
from loaders.stores.storage import Files, StorageOptions, open_files

_COUNTS = b"dataset-toolkit.num_row_groups_per_file.v1"
_TAIL = 64 << 10
"""Bytes at the end of a file that are read for its footer; a longer footer takes one more read."""

_MAGIC = b"PAR1"
_FOOTERS_BYTES = 256 << 20
_LEAST_ROW_GROUP = 8
_GAP_LOCAL, _GAP_REMOTE = 32 << 10, 1 << 20


@dataclass(frozen=True, slots=True)
class Piece:
    """A row group.

    Attributes:
        ordinal: Its number in the folder.
        file: Name of its file.
        row_group: Its number in the file.
        partitions: Value of each column that comes from names of folders.
    """

    ordinal: int
    file: str
    row_group: int
    partitions: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Known:
    """What was found out when a folder was opened; another process that is given it asks nothing again."""

    listing: Listing
    options: StorageOptions = field(repr=False)
    counts: Mapping[str, int] = field(repr=False)
    is_counted: bool
    metadata: Mapping[bytes, bytes] = field(repr=False)
    declared: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Footer:
    """The footer of a file, and of which leaves each of its columns is made."""

    raw: Any
    schema: pa.Schema
    leaves: Mapping[str, range]


def open_folder(
    url_or_urls: str | Path | Sequence[str | Path], *, options: StorageOptions | None = None
) -> ParquetFolder:
    """Open a folder of Parquet files, a file, or a list of files.

    Lists once. Where `_common_metadata` of Petastorm or `_metadata` says how many row groups there are, no footer is
    read but those of files that it does not know; else all are.

    Raises:
        FormatError: If it is a Delta table or a whole published dataset, or files do not fit each other.
        CorruptionError: If a file that is counted is missing, or a footer is damaged.
        StorageError, DeadlineError: If there is nothing, the storage refuses, or does not answer in time.
    """
    return reopen(_find_out(url_or_urls, options or StorageOptions()))


def reopen(known: Known) -> ParquetFolder:
    """Open a folder again as it was found, from `ParquetFolder.spec()`; nothing is listed."""
    return ParquetFolder(known)


class ParquetFolder:
    """The row groups of a folder. Safe to use from several threads."""

    def __init__(self, known: Known, files: Files | None = None) -> None:
        self._known = known
        listing = known.listing
        self.root = listing.root
        self.is_single_list = listing.is_list
        self.metadata: dict[bytes, bytes] = dict(known.metadata)
        self._entries = {entry.name: entry for entry in listing.entries}
        self.names = tuple(known.counts)
        self.files = files or open_files(listing.root, known.options)
        self._footers = _Footers(self)
        self._partitions, values = partitions_of(self.names, self.root)
        self.partition_names: tuple[str, ...] = tuple(self._partitions.names)
        self.pieces: tuple[Piece, ...] = _pieces(known.counts, values)
        self._schema: pa.Schema | None = None
        self._lock = threading.Lock()

    @property
    def schema(self) -> pa.Schema:
        """The columns: those from names of folders first, then those of the files.

        If the row groups are counted, the first file and what `_common_metadata` declares speak for all files;
        else all files are looked at.

        Raises:
            FormatError: If two files hold a column with types that do not go together.
        """
        with self._lock:
            if self._schema is None:
                self._schema = self._find_schema()
            return self._schema

    def spec(self) -> Known:
        """Return what `reopen` needs."""
        return self._known

    def version(self, name: str) -> str:
        """Return a text that differs for another content of a file, as far as the storage tells."""
        return self._entries[name].version

    def footer(self, name: str) -> Any:
        """Return the footer of a file, `pyarrow.parquet.FileMetaData`; it is read once."""
        return self._footers.get(name).raw

    def rows(self, piece: Piece) -> int:
        """Return how many rows a row group has."""
        return int(self._group(piece).num_rows)

    def bytes(self, piece: Piece, columns: Sequence[str] | None = None) -> int:
        """Return the bytes of some columns of a row group, unpacked as the footer says; None: of all."""
        group, leaves = self._group(piece), self._footers.get(piece.file).leaves
        if columns is None:
            return int(group.total_byte_size)
        chosen = [leaf for name in columns if name in leaves for leaf in leaves[name]]
        return sum(int(group.column(leaf).total_uncompressed_size) for leaf in chosen)

    def read(self, piece: Piece, columns: Sequence[str]) -> pa.Table:
        """Return columns of a row group, in the order given, each as one chunk.

        A column that comes from names of folders repeats its value; one that the file lacks holds nulls. Text and
        binary may come as a dictionary.

        Raises:
            FormatError: If the folder has no such column.
            CorruptionError: If the file is damaged, or its pages claim to be far larger than they are.
            StorageError, DeadlineError: If the storage refuses or does not answer in time.
        """
        try:
            return self._read(piece, columns)
        except (MemoryError, CorruptionError, FormatError, DeadlineError, StorageError):
            raise
        except Exception as error:
            raise self._broken(piece, columns, error) from error

    def close(self) -> None:
        """Close the files."""
        self.files.close()

    def __enter__(self) -> ParquetFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self, piece: Piece, columns: Sequence[str]) -> pa.Table:
        footer, group = self._footers.get(piece.file), self._group(piece)
        stored = [name for name in columns if name in footer.leaves and name not in piece.partitions]
        read = self._stored(piece, footer, stored) if stored else {}
        made = []
        for name in columns:
            if name in piece.partitions:
                made.append(_constant(piece.partitions[name], self._partitions.field(name).type, group.num_rows))
            elif name in read:
                made.append(self._fitted(piece, name, read[name]))
            else:
                made.append(pa.nulls(group.num_rows, self._type(name)))
        return pa.table(dict(zip(columns, made, strict=True)))

    def _stored(self, piece: Piece, footer: _Footer, names: Sequence[str]) -> dict[str, Any]:
        group = footer.raw.row_group(piece.row_group)
        chunks = [group.column(leaf) for name in names for leaf in footer.leaves[name]]
        size = self._entries[piece.file].size
        gap = _GAP_LOCAL if self.files.is_local else _GAP_REMOTE
        ranges = fetch(self.files, piece.file, size, chunks, check=lambda chunk, raw: None, gap=gap)
        data = decode(ranges, footer.raw, piece.row_group, names)
        if data.num_rows != group.num_rows:
            raise self._corrupt(piece, f"{data.num_rows} rows, the footer says {group.num_rows}")
        return {name: _one_chunk(data.column(name)) for name in names}

    def _fitted(self, piece: Piece, name: str, column: Any) -> Any:
        """Bring a column to the type that it has in the folder."""
        wanted = self._type(name)
        if column.type == wanted or (pa.types.is_dictionary(column.type) and column.type.value_type == wanted):
            return column
        return column.cast(wanted)

    def _type(self, name: str) -> pa.DataType:
        at = self.schema.get_field_index(name)
        if at < 0:
            raise FormatError(f"{self.root} has no column {name!r}; it has {self.schema.names}")
        return self.schema.field(at).type

    def _group(self, piece: Piece) -> Any:
        footer = self.footer(piece.file)
        if footer.num_row_groups != self._known.counts[piece.file]:
            raise FormatError(
                f"{self.root}/{piece.file} has {footer.num_row_groups} row groups, the metadata of the dataset counts "
                f"{self._known.counts[piece.file]}; the file was replaced: write the metadata again"
            )
        return footer.row_group(piece.row_group)

    def _find_schema(self) -> pa.Schema:
        names = self.names[:1] if self._known.is_counted else self.names
        found: dict[str, pa.Field] = {}
        for name in names:
            for each in self._footers.get(name).schema:
                found.setdefault(each.name, each)
        columns = [each for name, each in found.items() if name not in self.partition_names]
        return pa.schema([*self._partitions, *columns])

    def _broken(self, piece: Piece, columns: Sequence[str], error: Exception) -> CorruptionError:
        """Find the column that cannot be read."""
        for name in columns if len(columns) > 1 else []:
            try:
                self._read(piece, [name])
            except Exception as cause:
                return self._corrupt(piece, str(cause), name)
        return self._corrupt(piece, str(error), columns[0] if len(columns) == 1 else None)

    def _corrupt(self, piece: Piece, problem: str, column: str | None = None) -> CorruptionError:
        path = f"{self.root}/{piece.file}"
        where = f"row group {piece.row_group}" + (f", column {column}" if column else "")
        return CorruptionError(
            f"{path}: {where}: {problem}; copy or write the file again",
            file=path,
            row_group=piece.row_group,
            column=column,
        )


class _Footers:
    """Footers that were read, as long as they take little memory."""

    def __init__(self, folder: ParquetFolder) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, _Footer] = OrderedDict()
        self._bytes = 0

    def get(self, name: str) -> _Footer:
        with self._lock:
            if (found := self._kept.get(name)) is not None:
                self._kept.move_to_end(name)
                return found
        entry = self._folder._entries[name]
        raw = read_footer(self._folder.files, entry)
        footer = _footer(raw, f"{self._folder.root}/{name}")
        self.keep(name, footer)
        return footer

    def keep(self, name: str, footer: _Footer) -> None:
        with self._lock:
            if name not in self._kept:
                self._kept[name] = footer
                self._bytes += footer.raw.serialized_size
            while self._bytes > _FOOTERS_BYTES and len(self._kept) > 1:
                self._bytes -= self._kept.popitem(last=False)[1].raw.serialized_size


def read_footer(files: Files, entry: Entry) -> Any:
    """Read the footer of a Parquet file.

    Raises:
        CorruptionError: If the file has none that can be read.
    """
    path = f"{files.root}/{entry.name}"
    if entry.size < 12:
        raise CorruptionError(f"{path} is no Parquet file: it has {entry.size} bytes", file=path)
    tail = files.read(entry.name, max(0, entry.size - _TAIL), min(entry.size, _TAIL))
    length = int.from_bytes(tail[-8:-4], "little") + 8
    if tail[-4:] != _MAGIC or length > entry.size:
        raise CorruptionError(f"{path} is no Parquet file: it does not end like one; was it written to its end?",
                              file=path)  # fmt: skip
    if length > len(tail):
        tail = files.read(entry.name, entry.size - length, length)
    try:
        return pq.read_metadata(pa.BufferReader(tail))
    except (OSError, pa.ArrowException) as error:
        raise CorruptionError(f"{path} has a footer that cannot be read: {error}", file=path) from error


def _footer(raw: Any, path: str) -> _Footer:
    schema = raw.schema.to_arrow_schema()
    if len(set(schema.names)) != len(schema.names):
        raise FormatError(f"{path} names a column twice: {schema.names}")
    leaves, at = {}, 0
    for each in schema:
        count = _leaves(each.type)
        leaves[each.name] = range(at, at + count)
        at += count
    if at != raw.num_columns:
        raise FormatError(f"{path}: its schema has {at} columns of values, its footer {raw.num_columns}")
    return _Footer(raw, schema, leaves)


def _leaves(kind: pa.DataType) -> int:
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    if pa.types.is_nested(kind):
        return sum(_leaves(kind.field(at).type) for at in range(kind.num_fields))
    return 1


def _pieces(counts: Mapping[str, int], values: Mapping[str, Mapping[str, Value]]) -> tuple[Piece, ...]:
    groups = [(name, at) for name, count in counts.items() for at in range(count)]
    return tuple(Piece(ordinal, name, at, values[name]) for ordinal, (name, at) in enumerate(groups))


def _constant(value: Value, kind: pa.DataType, rows: int) -> Any:
    if value is None:
        return pa.nulls(rows, kind)
    if pa.types.is_string(kind):
        return pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int32()), rows), pa.array([value], kind))
    return pa.repeat(pa.scalar(value, kind), rows)


def _one_chunk(column: Any) -> Any:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _find_out(url_or_urls: str | Path | Sequence[str | Path], options: StorageOptions) -> Known:
    listing = list_files(url_or_urls, options)
    files = open_files(listing.root, options)
    try:
        common, summary = (_sidecar(files, listing, name) for name in (COMMON_METADATA, METADATA))
        told = common if common is not None else summary
        metadata = dict(told.metadata or {}) if told is not None else {}
        counts = _told_counts(listing, common, summary)
        is_counted = bool(counts)
        unknown = [entry for entry in listing.entries if not counts.get(entry.name)]
        with ThreadPoolExecutor(1 if files.is_local and len(unknown) < 8 else 4 if files.is_local else 16) as pool:
            for entry, footer in zip(unknown, pool.map(lambda entry: read_footer(files, entry), unknown), strict=True):
                counts[entry.name] = footer.num_row_groups
        ordered = {entry.name: counts[entry.name] for entry in listing.entries}
        return Known(listing, options, ordered, is_counted, metadata, b"")
    finally:
        files.close()


def _sidecar(files: Files, listing: Listing, name: str) -> Any:
    return read_footer(files, listing.sidecars[name]) if name in listing.sidecars else None


def _told_counts(listing: Listing, common: Any, summary: Any) -> dict[str, int]:
    """Return the row groups of each file as the metadata of the dataset counts them, if it does."""
    counts: dict[str, int] = {}
    if summary is not None and summary.num_row_groups:
        for at in range(summary.num_row_groups):
            name = posixpath.normpath(summary.row_group(at).column(0).file_path)
            counts[name] = counts.get(name, 0) + 1
        source = METADATA
    elif common is not None and _COUNTS in (common.metadata or {}):
        counts = _json_counts(common.metadata[_COUNTS], f"{listing.root}/{COMMON_METADATA}")
        source = COMMON_METADATA
    sizes = {entry.name: entry.size for entry in listing.entries}
    for name, count in counts.items():
        path = f"{listing.root}/{name}"
        if name not in sizes:
            raise CorruptionError(f"{path} is counted in {source} but is missing; was it deleted?", file=path)
        if count * _LEAST_ROW_GROUP > sizes[name]:
            raise FormatError(f"{listing.root}/{source} counts {count:,} row groups in {path} of {sizes[name]:,} bytes")
    return counts


def _json_counts(raw: bytes, path: str) -> dict[str, int]:
    try:
        told = json.loads(raw)
    except ValueError as error:
        raise FormatError(f"{path}: {_COUNTS.decode()} is no JSON: {error}") from error
    if not isinstance(told, dict) or not all(type(count) is int and count >= 0 for count in told.values()):
        raise FormatError(f"{path}: {_COUNTS.decode()} must be an object of counts")
    return {posixpath.normpath(name): count for name, count in told.items()}
