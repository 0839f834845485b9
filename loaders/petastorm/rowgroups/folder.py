"""Any folder of Parquet files, read row group by row group: ours, Petastorm's, Spark's, Hive's, or a list of files."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from loaders.axes import Mask
from loaders.decoding.arrow import one_chunk
from loaders.errors import CorruptionError, DeadlineError, FormatError, StorageError
from loaders.ordering.bounds import Bounds
from loaders.ordering.filters import Filter, FilterColumn
from loaders.petastorm.rowgroups.claims import check_rows, check_width, claim_of, limit_of, settle
from loaders.petastorm.rowgroups.discovery import Known, find_out, open_listed
from loaders.petastorm.rowgroups.filtering import parse_filters, partition_bounds, stored_bounds
from loaders.petastorm.rowgroups.footers import Footer, Footers
from loaders.petastorm.rowgroups.partitions import Value, partitions_of
from loaders.petastorm.rowgroups.plain import may_be_plain, plain_numbers
from loaders.petastorm.rowgroups.schemas import united
from loaders.reading.pages import PageError
from loaders.reading.ranges import Ranges, Rooms
from loaders.reading.row_group import decode, decode_in_steps, fetch
from loaders.stores.storage import StorageOptions

_GAP_LOCAL, _GAP_REMOTE = 32 << 10, 1 << 20
"""Column chunks that are at most so many bytes apart are read in one go."""

_AT_ONCE = 1 << 20
"""Bytes of a local file's plain numbers that are read in one go, if there are several columns of them."""

_DAMAGE = (OSError, ValueError, LookupError, OverflowError, pa.ArrowException)
"""What pyarrow raises over damaged files."""


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


def open_folder(
    url_or_urls: str | Path | Sequence[str | Path], *, options: StorageOptions | None = None
) -> ParquetFolder:
    """Open a folder of Parquet files, a file, or a list of files.

    Lists once. Where `_common_metadata` of Petastorm or `_metadata` says how many row groups there are, no footer is
    read but those of files that it does not know; else all are.

    Raises:
        FormatError: If it holds no Parquet, is a Delta table or a whole published dataset, or files do not fit.
        CorruptionError: If a file that is counted is missing, or a footer is damaged.
        StorageError, DeadlineError: If there is nothing, the storage refuses, or does not answer in time.
    """
    known, footers = find_out(url_or_urls, options or StorageOptions())
    return ParquetFolder(known, footers)


def reopen(known: Known) -> ParquetFolder:
    """Open a folder again as it was found, from `ParquetFolder.spec()`; nothing is listed."""
    return ParquetFolder(known)


class ParquetFolder:
    """The row groups of a folder, numbered by file and place. Safe to use from several threads.

    Attributes:
        root: The folder that names are relative to: an absolute path or a URL.
        names: The files that hold rows: sorted, or in the order in which they were listed one by one.
        is_single_list: Whether a list of files was opened.
        metadata: Keys and values of `_common_metadata`, else of `_metadata`, else nothing.
        partition_names: Columns that come from names of folders.
        pieces: The row groups; those of a file that was listed twice come twice.
    """

    def __init__(self, known: Known, footers: Mapping[str, Footer] | None = None) -> None:
        """Open what is known; `footers` are those that were read."""
        self._known = known
        self.root = known.listing.root
        self.names: tuple[str, ...] = tuple(known.counts)
        self.is_single_list = known.listing.is_list
        self.metadata: dict[bytes, bytes] = dict(known.metadata)
        self._partitions, values = partitions_of(self.names, self.root)
        self.partition_names: tuple[str, ...] = tuple(self._partitions.names)
        groups = [(entry.name, at) for entry in known.listing.entries for at in range(known.counts[entry.name])]
        self.pieces: tuple[Piece, ...] = tuple(
            Piece(ordinal, name, at, values[name]) for ordinal, (name, at) in enumerate(groups)
        )
        self._entries = {entry.name: entry for entry in known.listing.entries}
        self._files = open_listed(known.listing, known.options)
        self._end = weakref.finalize(self, self._files.close)
        self._end.atexit = False  # descriptors and daemon threads end with the process
        self._footers = Footers(self._files, self._entries, footers or {})
        self._schema = known.schema if known.is_schema_known else None
        self._rooms = Rooms()
        self._lock = threading.Lock()
        self._last_filter: tuple[object, Filter | None] = (None, None)

    @property
    def schema(self) -> pa.Schema:
        """The columns, of plain types: those from names of folders first, then those of the files.

        Of the files whose row groups are counted, the first one and the metadata speak for all.

        Raises:
            FormatError: If two files hold a column with types that do not go together.
        """
        with self._lock:
            if self._schema is None:
                self._schema = self._find_schema()
            return self._schema

    def spec(self) -> Known:
        """Return what `reopen` needs, in this process or another."""
        return replace(self._known, schema=self.schema, is_schema_known=True)

    def version(self, name: str) -> str:
        """Return a text that differs for another content of a file, as far as the storage tells."""
        return self._entries[name].version

    def footer(self, name: str) -> pq.FileMetaData:
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
        stored = [name for name in columns if name in leaves]
        self._footers.check(piece.file, piece.row_group, stored)
        chosen = [leaf for name in stored for leaf in leaves[name]]
        return sum(int(group.column(leaf).total_uncompressed_size) for leaf in chosen)

    def holds(self, piece: Piece, column: str) -> bool:
        """Whether a column comes from the file of a row group, or from names of its folders; else `read` gives nulls.

        Raises like `footer`.
        """
        return column in piece.partitions or column in self._footers.get(piece.file).leaves

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
        except FileNotFoundError as error:
            path = f"{self.root}/{piece.file}"
            raise CorruptionError(f"{path} is missing; was it deleted?", file=path) from error
        except _DAMAGE as error:
            raise self._broken(piece, columns, error) from error

    def parsed(self, filters: object) -> Filter | None:
        """Check conditions as pyarrow writes them; None if there are none.

        Raises:
            FormatError: If they have another form, or do not fit the columns.
        """
        return parse_filters(filters, self.schema, self._partitions) if filters else None

    def may_match_partitions(self, piece: Piece, filters: object) -> bool:
        """Return False if the names of its folders exclude that any row of a row group matches; reads nothing.

        Raises:
            FormatError: If `filters` is no list of conditions, or they do not fit the columns.
        """
        parsed = self._filter(filters)
        return parsed is None or parsed.may_match(partial(partition_bounds, piece.partitions))

    def may_match(self, piece: Piece, filters: object) -> bool:
        """Return False if names of folders or the footer exclude that any row matches; raises as above, and like
        `footer`.
        """
        parsed = self._filter(filters)
        return parsed is None or (
            self.may_match_partitions(piece, parsed) and parsed.may_match(partial(self._bounds, piece))
        )

    def matches(self, data: pa.Table, filters: object) -> Mask:
        """Return which rows match; bool, shape (rows,).

        Args:
            data: What `read` gave, at least the columns of `filters`.
            filters: Conditions as pyarrow writes them. A null matches none but `is null`.
        """
        parsed = self._filter(filters)
        return np.ones(data.num_rows, dtype=np.bool_) if parsed is None else parsed.matches(data)

    def close(self) -> None:
        """Close the files."""
        self._end()

    def __enter__(self) -> ParquetFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self, piece: Piece, columns: Sequence[str]) -> pa.Table:
        footer, group = self._footers.get(piece.file), self._group(piece)
        stored = [name for name in columns if name in footer.leaves and name not in piece.partitions]
        limit = limit_of(self._entries[piece.file].size // max(1, self._known.counts[piece.file]))
        read: dict[str, pa.Array] = {}
        for portion in self._portions(piece, footer, stored):
            read |= self._stored(piece, footer, portion, limit)
        if not stored:  # nothing that was read shows how many rows there are
            check_rows(group.num_rows, limit)
        made = []
        for name in columns:
            if name in piece.partitions:
                made.append(_constant(piece.partitions[name], self._partitions.field(name).type, group.num_rows))
            elif name in read:
                made.append(self._fitted(name, read[name]))
            else:
                check_width(self._type(name), group.num_rows, 0, limit)
                made.append(pa.nulls(group.num_rows, self._type(name)))
        return pa.table(dict(zip(columns, made, strict=True)))

    def _portions(self, piece: Piece, footer: Footer, names: Sequence[str]) -> list[list[str]]:
        """Return what is read in one go: a local file's numbers a few columns at a time, which is what the processor's
        cache holds; all else at once.
        """
        self._footers.check(piece.file, piece.row_group, names)
        group = footer.raw.row_group(piece.row_group)
        if not self._files.is_local or group.total_byte_size <= _AT_ONCE:
            return [list(names)]
        others: list[str] = []
        portions, room = [others], 0
        for name in names:
            chunk = group.column(footer.leaves[name].start)
            if not may_be_plain(chunk):
                others.append(name)
                continue
            room -= chunk.total_compressed_size
            if room < 0:
                portions.append([])
                room = _AT_ONCE - chunk.total_compressed_size
            portions[-1].append(name)
        return [portion for portion in portions if portion]

    def _stored(self, piece: Piece, footer: Footer, names: Sequence[str], limit: int) -> dict[str, pa.Array]:
        group, schema = footer.raw.row_group(piece.row_group), footer.raw.schema
        rows, kinds = group.num_rows, footer.kinds
        leaves = {leaf: name for name in names for leaf in footer.leaves[name]}
        chunks = [group.column(leaf) for leaf in leaves]
        gap = _GAP_LOCAL if self._files.is_local else _GAP_REMOTE
        size = self._entries[piece.file].size
        ranges, found = fetch(self._files, piece.file, size, chunks, gap=gap, rooms=self._rooms)
        limit = max(limit, limit_of(sum(map(len, found))))  # row groups of a file may differ much in size
        check_rows(rows, limit)
        made: dict[str, pa.Array] = {}
        claims = []
        values = dict.fromkeys(names, 0)
        for (leaf, name), chunk, raw in zip(leaves.items(), chunks, found, strict=True):
            described, values[name] = schema.column(leaf), max(values[name], chunk.num_values)
            claim = claim_of(chunk, raw, described, rows=rows, limit=limit, is_text=_is_text(kinds[name]))
            claims.append(claim)
            numbers = plain_numbers(chunk, described, kinds[name], claim.pages, raw) if claim.pages else None
            if numbers is not None:
                made[name] = numbers
        left = [name for name in names if name not in made]
        for name in left:
            check_width(kinds[name], rows, values[name], limit)
        settled = settle(claims, limit)
        if not left:
            return made
        told = {chunk.path_in_schema: claim for chunk, claim in zip(chunks, settled, strict=True)}
        words = [path for path, claim in told.items() if claim.keeps_words]
        steps = {path: claim.step for path, claim in told.items() if claim.step}
        return made | self._decoded(piece, footer.raw, ranges, left, words, steps, limit)

    def _decoded(
        self,
        piece: Piece,
        footer: pq.FileMetaData,
        ranges: Ranges,
        names: Sequence[str],
        words: Sequence[str],
        steps: Mapping[str, int],
        limit: int,
    ) -> dict[str, pa.Array]:
        rows, at = footer.row_group(piece.row_group).num_rows, piece.row_group
        whole = [name for name in names if name not in steps]
        made: dict[str, pa.Array] = {}
        if whole:
            data = decode(ranges, footer, at, whole, dictionaries=words)
            made = {name: data.column(name) for name in whole}
        for name, step in steps.items():
            batches, total = [], 0
            for batch in decode_in_steps(ranges, footer, at, name, step):
                batches.append(batch.column(0))
                total += batch.nbytes
                if total > limit:
                    raise PageError(f"its values become more than {limit:,} bytes")
            made[name] = pa.chunked_array(batches)
        short = next((name for name in names if len(made[name]) != rows), None)
        if short is not None:
            raise self._corrupt(piece, f"{len(made[short])} rows, the footer says {rows}", short)
        return {name: one_chunk(made[name]) for name in names}

    def _fitted(self, name: str, column: pa.Array) -> pa.Array:
        """Bring a column to the type that it has in the folder."""
        wanted = self._type(name)
        if column.type == wanted:
            return column
        if pa.types.is_dictionary(column.type) and (pa.types.is_string(wanted) or pa.types.is_binary(wanted)):
            if column.type.value_type == wanted:
                return column
            return pa.DictionaryArray.from_arrays(column.indices, column.dictionary.cast(wanted))
        return column.cast(wanted)

    def _filter(self, filters: object) -> Filter | None:
        given, parsed = self._last_filter
        if given is not filters:
            parsed = parse_filters(filters, self.schema, self._partitions)
            self._last_filter = (filters, parsed)
        return parsed

    def _bounds(self, piece: Piece, column: FilterColumn) -> Bounds:
        if column.name in piece.partitions:
            return partition_bounds(piece.partitions, column)
        footer, group = self._footers.get(piece.file), self._group(piece)
        leaves = footer.leaves.get(column.name)
        if leaves is None:
            return Bounds(group.num_rows, group.num_rows)
        self._footers.check(piece.file, piece.row_group, [column.name])
        return stored_bounds(group.column(leaves.start), footer.schema.field(column.name).type, column, group.num_rows)

    def _type(self, name: str) -> pa.DataType:
        at = self.schema.get_field_index(name)
        if at < 0:
            raise FormatError(f"{self.root} has no column {name!r}; it has {self.schema.names}")
        return self.schema.field(at).type

    def _group(self, piece: Piece) -> pq.RowGroupMetaData:
        footer, counted = self.footer(piece.file), self._known.counts[piece.file]
        if footer.num_row_groups != counted:
            raise FormatError(
                f"{self.root}/{piece.file} has {footer.num_row_groups} row groups, the metadata of the dataset counts "
                f"{counted}; the file was replaced: write the metadata again"
            )
        return footer.row_group(piece.row_group)

    def _find_schema(self) -> pa.Schema:
        counted = [name for name in self.names if name in self._known.counted]
        names = counted[:1] + [name for name in self.names if name not in self._known.counted]
        fields = united((f"{self.root}/{name}", self._footers.get(name).schema) for name in names)
        known = {*self.partition_names, *(each.name for each in fields)}
        declared = united([("", self._known.schema)]) if self._known.schema is not None else []
        columns = [each for each in fields if each.name not in self.partition_names]
        return pa.schema([*self._partitions, *columns, *(each for each in declared if each.name not in known)])

    def _broken(self, piece: Piece, columns: Sequence[str], error: Exception) -> CorruptionError:
        """Find the column that cannot be read."""
        for name in columns if len(columns) > 1 else []:
            try:
                self._read(piece, [name])
            except _DAMAGE as cause:
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


def _constant(value: Value, kind: pa.DataType, rows: int) -> pa.Array:
    if value is None:
        return pa.nulls(rows, kind)
    if pa.types.is_string(kind):
        return pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int32()), rows), pa.array([value], kind))
    return pa.repeat(pa.scalar(value, kind), rows)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_binary(kind) or pa.types.is_large_string(kind)
                or pa.types.is_large_binary(kind))  # fmt: skip
