"""Footers of Parquet files: read once, checked, and kept as long as they take little memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.parquet as pq

from loaders.errors import CorruptionError, FormatError
from loaders.petastorm.rowgroups.entries import Entry
from loaders.reading.pages import PageError
from loaders.reading.row_group import check_chunks
from loaders.stores.storage import Files

MAGIC = b"PAR1"
LEAST_FILE = 12
"""Bytes of the smallest Parquet file: the magic twice, and the length of the footer."""

_ENCRYPTED = b"PARE"
_TAIL = 64 << 10
"""Bytes at the end of a file that are read for its footer; a longer footer takes one more read."""

_KEPT_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class Footer:
    """The footer of a file.

    Attributes:
        raw: `pyarrow.parquet.FileMetaData`.
        schema: Its columns, as pyarrow reads them.
        kinds: The type of each column.
        leaves: The Parquet columns that each column is made of.
        checked: Row groups and columns whose descriptions were found whole.
    """

    raw: pq.FileMetaData
    schema: pa.Schema
    kinds: Mapping[str, pa.DataType]
    leaves: Mapping[str, range]
    checked: set[tuple[int, tuple[str, ...]]] = field(default_factory=set)


class Footers:
    """The footers of some files. Safe to use from several threads."""

    def __init__(self, files: Files, entries: Mapping[str, Entry], read: Mapping[str, Footer]) -> None:
        """Args: `entries` by name; `read`: those that were read already."""
        self._files, self._entries = files, entries
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Footer] = OrderedDict()
        self._bytes = 0
        for name, footer in read.items():
            self._keep(name, footer)

    def get(self, name: str) -> Footer:
        """Return the footer of a file; raises like `read_footer`."""
        with self._lock:
            if (found := self._kept.get(name)) is not None:
                self._kept.move_to_end(name)
                return found
        footer = read_footer(self._files, self._entries[name])
        with self._lock:
            self._keep(name, footer)
        return footer

    def check(self, name: str, row_group: int, columns: Sequence[str]) -> None:
        """Make sure that pyarrow can describe chunks of a row group; see `check_chunks`.

        Raises:
            CorruptionError: If one is damaged.
        """
        footer, what = self.get(name), (row_group, tuple(columns))
        if what in footer.checked or not columns:
            return
        try:
            check_chunks(footer.raw, row_group, columns, self._entries[name].size)
            group = footer.raw.row_group(row_group)
            for leaf in (leaf for column in columns for leaf in footer.leaves[column]):
                chunk, column = group.column(leaf), footer.raw.schema.column(leaf)
                found, wanted = (f"{each.physical_type} of" for each in (chunk, column))
                if (found, chunk.path_in_schema) != (wanted, column.path):  # pyarrow ends the process over some
                    raise PageError(f"the footer says {found} {chunk.path_in_schema} and {wanted} {column.path}")
        except ValueError as error:
            path = f"{self._files.root}/{name}"
            raise CorruptionError(f"{path}: row group {row_group}: {error}", file=path, row_group=row_group) from error
        footer.checked.add(what)

    def _keep(self, name: str, footer: Footer) -> None:
        if name not in self._kept:
            self._kept[name] = footer
            self._bytes += footer.raw.serialized_size
        while self._bytes > _KEPT_BYTES and len(self._kept) > 1:
            self._bytes -= self._kept.popitem(last=False)[1].raw.serialized_size


def read_footer(files: Files, entry: Entry) -> Footer:
    """Read the footer of a Parquet file.

    Raises:
        CorruptionError: If the file has none that can be read.
        FormatError: If it is encrypted, or names a column twice.
        StorageError, DeadlineError: If the storage refuses or does not answer in time.
    """
    path = f"{files.root}/{entry.name}"
    if entry.size < LEAST_FILE:
        raise CorruptionError(f"{path} is no Parquet file: it has {entry.size} bytes", file=path)
    try:
        tail = files.read(entry.name, max(0, entry.size - _TAIL), min(entry.size, _TAIL))
        length = int.from_bytes(tail[-8:-4], "little") + 8
        if tail[-4:] == _ENCRYPTED:
            raise FormatError(f"{path} is encrypted; write it without encryption")
        if tail[-4:] != MAGIC or length > entry.size:
            raise CorruptionError(f"{path} is no Parquet file, or was not written to its end", file=path)
        if length > len(tail):
            tail = files.read(entry.name, entry.size - length, length)
    except FileNotFoundError as error:
        raise CorruptionError(f"{path} is missing; was it deleted?", file=path) from error
    try:
        raw = pq.read_metadata(pa.BufferReader(tail))
        schema = raw.schema.to_arrow_schema()
    except (OSError, ValueError, pa.ArrowException) as error:
        raise CorruptionError(f"{path} has a footer that cannot be read: {error}", file=path) from error
    if len(set(schema.names)) != len(schema.names):
        raise FormatError(f"{path} names a column twice: {schema.names}")
    kinds = dict(zip(schema.names, schema.types, strict=True))
    return Footer(raw, schema, kinds, _leaves_of(raw, schema, path))


def _leaves_of(raw: pq.FileMetaData, schema: pa.Schema, path: str) -> dict[str, range]:
    leaves, at = {}, 0
    for each in schema:
        leaves[each.name] = range(at, at := at + _count(each.type))
    if at != len(raw.schema):
        raise FormatError(f"{path}: its Arrow schema has {at} columns of values, its Parquet schema {len(raw.schema)}")
    return leaves


def _count(kind: pa.DataType) -> int:
    if isinstance(kind, pa.BaseExtensionType):
        return _count(kind.storage_type)
    if pa.types.is_nested(kind):
        return sum(_count(kind.field(at).type) for at in range(kind.num_fields))
    return 1
