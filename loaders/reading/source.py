"""The row groups of a published split: where they lie, what their footers say, and every byte as it was published."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from loaders.errors import CorruptionError, DeadlineError, FormatError, StorageError
from loaders.format.fields import Field, arrow_schema
from loaders.format.manifest import Manifest, PartReceipt, read_manifest
from loaders.reading.expansion import check_expansion
from loaders.reading.row_group import decode, fetch
from loaders.stores.local import LocalFiles
from loaders.stores.storage import Files


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row lies: file, row group in the file, row in the row group; all counted from 0."""

    file: str
    row_group: int
    row: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """The values of one column in one row group, as the footer describes them.

    Attributes:
        name: Name of the column.
        start: First byte in the file.
        bytes: Size in the file.
        values: Number of values, rows of the row group for a flat column.
        physical_type: Parquet's name of it.
        is_plain: Neither compressed nor with a dictionary.
    """

    name: str
    start: int
    bytes: int
    values: int
    physical_type: str
    is_plain: bool

    @property
    def end(self) -> int:
        """One past its last byte."""
        return self.start + self.bytes


class SplitFiles:
    """The row groups of one split folder, numbered as the manifest lists them. Safe to use from several threads."""

    def __init__(
        self, files: Files | str | Path, *, columns: Sequence[str] | None = None, manifest: Manifest | None = None
    ) -> None:
        """Open a split folder.

        Args:
            files: The folder, or its files.
            columns: Names of the fields to read, in this order; None reads all.
            manifest: What there is to read, None: what the folder says.

        Raises:
            FormatError: If the folder is no published split or lacks a column.
            CorruptionError: If a file is missing or has another size than was published.
        """
        self.files = LocalFiles(files) if isinstance(files, str | Path) else files
        self.folder = self.files.root
        self.manifest: Manifest = read_manifest(self.files) if manifest is None else manifest
        self.fields: tuple[Field, ...] = _chosen(self.manifest, columns, self.folder)
        self._groups = [
            (part, at) for part in range(len(self.manifest.parts)) for at in range(len(self._part(part).row_groups))
        ]
        self.rows_by_group = self.manifest.row_groups
        self.starts = np.concatenate([[0], np.cumsum(np.asarray(self.rows_by_group, dtype=np.int64))])
        self._footers: dict[int, pq.FileMetaData] = {}
        self._lock = threading.Lock()
        if self.files.is_local:  # elsewhere each would cost a request; a wrong size is noticed with the footer
            for part in self.manifest.parts:
                self._check_size(part)

    @property
    def bytes_by_group(self) -> tuple[int, ...]:
        """Bytes of each row group, uncompressed, all columns."""
        return tuple(size for part in self.manifest.parts for size in part.row_group_bytes)

    def locate(self, row_number: int) -> Place:
        """Return where a row lies, from its number in the split."""
        group = int(np.searchsorted(self.starts, row_number, side="right")) - 1
        return Place(self.path(group), self._groups[group][1], row_number - int(self.starts[group]))

    def path(self, group: int) -> str:
        """Return the path or URL of the file that holds a row group."""
        return f"{self.folder}/{self.file(group)}"

    def file(self, group: int) -> str:
        """Return the name of the file that holds a row group."""
        return self._part(self._groups[group][0]).name

    def group_name(self, group: int) -> str:
        """Return a row group's name for a person."""
        return f"row group {self._groups[group][1]} of {self.path(group)}"

    def chunks(self, group: int, names: Sequence[str]) -> list[Chunk]:
        """Return where the values of flat columns lie.

        Raises:
            CorruptionError: If the footer is not the published one, or points out of its file.
        """
        part, at = self._groups[group]
        footer = self._footer(part)
        size = self._part(part).bytes - self._part(part).footer_bytes
        schema, described = footer.schema, footer.row_group(at)
        wanted = arrow_schema([field for field in self.manifest.fields if field.name in names])
        stored = schema.to_arrow_schema()
        found = {}
        for index in range(described.num_columns):
            column = described.column(index)
            name = column.path_in_schema
            if name not in names:
                continue
            first = column.dictionary_page_offset if column.has_dictionary_page else column.data_page_offset
            if not 0 <= first <= first + column.total_compressed_size <= size:
                raise self.corrupt(group, "the footer points out of the file", name)
            is_plain = column.compression == "UNCOMPRESSED" and not column.has_dictionary_page
            is_same = _is_same(stored.field(name).type, wanted.field(name).type)
            found[name] = Chunk(
                name, first, column.total_compressed_size, column.num_values, column.physical_type, is_plain and is_same
            )
        missing = [name for name in names if name not in found]
        if missing:
            raise self.corrupt(group, f"the file lacks the columns {missing}")
        return [found[name] for name in names]

    def statistics(self, group: int, name: str) -> pq.Statistics | None:
        """Return what the footer says of a flat column in a row group, pyarrow's `Statistics`, None without any."""
        part, at = self._groups[group]
        described = self._footer(part).row_group(at)
        for index in range(described.num_columns):
            if described.column(index).path_in_schema == name:
                return described.column(index).statistics
        return None

    def read_group(self, group: int, names: Sequence[str] | None = None) -> pa.Table:
        """Return columns of one row group, all chosen ones by default; text may come as a dictionary.

        Raises:
            CorruptionError: If the file, its footer or a page is not what was published.
        """
        names = [field.name for field in self.fields] if names is None else list(names)
        try:
            data = self._read(group, names)
        except (MemoryError, CorruptionError, DeadlineError, StorageError):
            raise
        except Exception as error:
            raise self._broken(group, names, error) from error
        if data.num_rows != self.rows_by_group[group]:
            raise self.corrupt(group, f"{data.num_rows} rows, not {self.rows_by_group[group]}")
        return data

    def corrupt(self, group: int, problem: str, column: str | None = None) -> CorruptionError:
        """Return the error that says what is wrong with a row group."""
        path, at = self.path(group), self._groups[group][1]
        where = f"row group {at}" + (f", column {column}" if column else "")
        return CorruptionError(
            f"{path}: {where}: {problem}; copy the file again or publish the dataset again",
            file=path,
            row_group=at,
            column=column,
        )

    def close(self) -> None:
        """Close the files."""
        self.files.close()

    def _read(self, group: int, names: list[str]) -> pa.Table:
        part, at = self._groups[group]
        footer = self._footer(part)
        described = footer.row_group(at)
        wanted = [field for field in self.manifest.fields if field.name in names]
        texts = [field.name for field in wanted if pa.types.is_string(field.type)]
        chunks = [described.column(index) for index in range(described.num_columns)]
        chunks = [chunk for chunk in chunks if chunk.path_in_schema.split(".")[0] in names]
        ranges, found = fetch(self.files, self._part(part).name, self._part(part).bytes, chunks)
        for chunk, raw in zip(chunks, found, strict=True):
            check_expansion(chunk, raw, rows=self.rows_by_group[group], is_text=chunk.path_in_schema in texts)
        data = decode(ranges, footer, at, names, dictionaries=texts)
        columns = {}
        for field in wanted:
            column = data.column(field.name)
            is_text = field.name in texts and pa.types.is_dictionary(column.type)
            columns[field.name] = column if is_text or column.type == field.type else column.cast(field.type)
        return pa.table({name: columns[name] for name in names})

    def _footer(self, part: int) -> pq.FileMetaData:
        with self._lock:  # two threads that need one footer read it once
            if part not in self._footers:
                self._footers[part] = self._read_footer(part)
            return self._footers[part]

    def _read_footer(self, part: int) -> pq.FileMetaData:
        receipt = self._part(part)
        if self.files.is_local:  # elsewhere it would be one more request, and a shorter file lacks the footer
            self._check_size(receipt)
        tail = self.files.read(receipt.name, receipt.bytes - receipt.footer_bytes, receipt.footer_bytes)
        if hashlib.sha256(tail).hexdigest() != receipt.footer_sha256:
            raise self._corrupt_file(receipt, "has another footer than was published")
        try:
            footer = pq.read_metadata(pa.BufferReader(tail))
        except (OSError, pa.ArrowException) as error:
            raise self._corrupt_file(receipt, f"has a footer that cannot be read: {error}") from error
        rows = tuple(footer.row_group(at).num_rows for at in range(footer.num_row_groups))
        if rows != receipt.row_groups:
            raise self._corrupt_file(receipt, "has a footer that lists other row groups than the manifest")
        return footer

    def _check_size(self, part: PartReceipt) -> None:
        try:
            found = self.files.size(part.name)
        except FileNotFoundError as error:
            raise self._corrupt_file(part, "is listed in the manifest but is missing") from error
        if found != part.bytes:
            raise self._corrupt_file(part, f"should have {part.bytes:,} bytes and has {found:,}")

    def _broken(self, group: int, names: list[str], error: Exception) -> CorruptionError:
        """Find the column that cannot be read."""
        for name in names if len(names) > 1 else []:
            try:
                self._read(group, [name])
            except Exception as cause:
                return self.corrupt(group, str(cause), name)
        return self.corrupt(group, str(error), names[0] if len(names) == 1 else None)

    def _corrupt_file(self, part: PartReceipt, problem: str) -> CorruptionError:
        path = f"{self.folder}/{part.name}"
        return CorruptionError(f"{path} {problem}; copy the file again or publish the dataset again", file=path)

    def _part(self, part: int) -> PartReceipt:
        return self.manifest.parts[part]


def _is_same(stored: pa.DataType, wanted: pa.DataType) -> bool:
    return bool(stored.equals(wanted) or (pa.types.is_fixed_size_binary(stored) and pa.types.is_binary(wanted)))


def _chosen(manifest: Manifest, columns: Sequence[str] | None, folder: str) -> tuple[Field, ...]:
    if columns is None:
        return manifest.fields
    if isinstance(columns, str) or not columns:
        raise FormatError(f"columns must be a list of at least one field name, found {columns!r}")
    known = {field.name: field for field in manifest.fields}
    missing = [name for name in columns if name not in known]
    if missing:
        raise FormatError(f"{folder} has no columns {missing}; it has {sorted(known)}")
    if len(set(columns)) != len(columns):
        raise FormatError(f"a column is named twice: {list(columns)}")
    return tuple(known[name] for name in columns)
