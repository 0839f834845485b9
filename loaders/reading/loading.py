"""Read one row group into the arena: plain columns straight from the file, the others through pyarrow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loaders.axes import Array
from loaders.decoding.arrow import validity
from loaders.decoding.values import fill_dense
from loaders.format.digest import one_array
from loaders.reading.arena import Arena
from loaders.reading.expansion import FREE_BYTES
from loaders.reading.layout import ReadColumn
from loaders.reading.pages import HEADER_LIMIT, PageError, as_bytes, byte_array_spans, check, read_header
from loaders.reading.source import Chunk, SplitFiles
from loaders.stores.storage import forget

_TILE_ROWS = 4096
_WORTH_READING = 1 << 20  # a gap that costs less to read, over a network, than another request
_PHYSICAL = {("INT32", 4), ("INT64", 8), ("FLOAT", 4), ("DOUBLE", 8)}


@dataclass(slots=True)
class _Part:
    """A chunk that is read in one go: `header` bytes first, then `target`, its place in the arena.

    The values of packed columns lie apart there, so that they go through a `target` of their own.
    """

    column: ReadColumn
    chunk: Chunk
    header: bytearray
    target: Array


class GroupLoader:
    """Fills slots of an arena. Safe to use from several threads, on different slots."""

    def __init__(self, split: SplitFiles, arena: Arena) -> None:
        self._split = split
        self._arena = arena
        self._columns = [column for column in arena.shape.columns if not column.is_direct]

    def load(self, group: int, slot: int) -> None:
        """Read a row group into a slot.

        Raises:
            CorruptionError: If the file or a page is not what was published.
        """
        if not self._columns:
            return
        try:
            self._load(group, slot)
        except FileNotFoundError as error:  # removed since it was first opened
            raise self._split.corrupt(group, "the file is listed in the manifest but is missing") from error

    def _load(self, group: int, slot: int) -> None:
        rows = self._split.rows_by_group[group]
        names = [column.name for column in self._columns if _is_flat(column)]
        chunks = self._split.chunks(group, names) if names else []
        by_name = {chunk.name: chunk for chunk in chunks}
        parts: list[_Part] = []
        slow: list[ReadColumn] = []
        for column in self._columns:
            part = self._part(column, by_name[column.name], slot, rows) if column.name in by_name else None
            if part is None:
                slow.append(column)
            else:
                parts.append(part)
        for run in self._runs(parts):
            slow += self._read(group, slot, rows, run)
        self._pack([part for part in parts if part.column.is_packed], slot, rows)
        if slow:
            self._load_slow(group, slot, rows, slow)

    def _part(self, column: ReadColumn, chunk: Chunk, slot: int, rows: int) -> _Part | None:
        """Return how to read a chunk straight into the arena, None if it has to be unpacked."""
        arena = self._arena
        if not chunk.is_plain or chunk.values != rows:
            return None
        if column.kind == "blob":
            place = arena.blobs[column.name][slot, : chunk.bytes]
            is_fitting = chunk.physical_type == "BYTE_ARRAY" and place.nbytes == chunk.bytes
            return _Part(column, chunk, bytearray(), place) if is_fitting else None
        header = chunk.bytes - rows * column.row_bytes
        is_array = column.field.codec == "ndarray" and chunk.physical_type == "FIXED_LEN_BYTE_ARRAY"
        if not 0 < header <= HEADER_LIMIT:
            return None  # several pages
        if not is_array and (chunk.physical_type, column.row_bytes) not in _PHYSICAL:
            return None
        first = slot * arena.rows
        target = np.empty((rows, *column.shape), column.dtype) if column.is_packed else (
            arena.values[column.name][first : first + rows]
        )  # fmt: skip
        return _Part(column, chunk, bytearray(header), target)

    def _runs(self, parts: Sequence[_Part]) -> list[list[_Part]]:
        """Put chunks together that one request reads: those side by side, from afar also those not far apart."""
        reach = 0 if self._split.files.is_local else _WORTH_READING
        runs: list[list[_Part]] = []
        for part in sorted(parts, key=lambda part: part.chunk.start):
            if runs and 0 <= part.chunk.start - runs[-1][-1].chunk.end <= reach:
                runs[-1].append(part)
            else:
                runs.append([part])
        return runs

    def _read(self, group: int, slot: int, rows: int, run: list[_Part]) -> list[ReadColumn]:
        """Read a run and check it; return the columns that have to be unpacked in the other way."""
        files, name = self._split.files, self._split.file(group)
        start, end = run[0].chunk.start, run[-1].chunk.end
        areas: list[memoryview] = []
        at = start
        for part in run:
            areas += [memoryview(bytearray(part.chunk.start - at)), memoryview(part.header), as_bytes(part.target)]
            at = part.chunk.end
        for is_last in (False, True):
            files.read_into(name, start, [area for area in areas if len(area)])
            slow: list[ReadColumn] = []
            for part in run:
                try:
                    self._finish(part, group, slot, rows)
                except PageError as error:
                    is_blob = part.column.kind == "blob" and not isinstance(error, BadSum)
                    if is_blob or isinstance(error, SeveralPages):
                        slow.append(part.column)
                    elif is_last or not forget(files, name, start, end - start):
                        raise self._split.corrupt(group, str(error), part.column.name) from error
                    else:
                        break
            else:
                break
        return slow

    def _finish(self, part: _Part, group: int, slot: int, rows: int) -> None:
        if part.column.kind == "blob":
            self._find_values(part, slot, rows)
            return
        page = read_header(memoryview(part.header))
        if page.values < rows and page.bytes == page.values * part.column.row_bytes:
            raise SeveralPages(f"its first page holds {page.values} of {rows} values")
        if (page.start, page.values, page.bytes) != (len(part.header), rows, part.target.nbytes):
            raise PageError(f"its page holds {page.values} values in {page.bytes:,} bytes, expected {rows}")
        check(page, as_bytes(part.target))

    def _pack(self, parts: list[_Part], slot: int, rows: int) -> None:
        """Write packed columns into their records, some rows at a time: these stay in the cache for all columns."""
        first = slot * self._arena.rows
        for begin in range(0, rows if parts else 0, _TILE_ROWS):
            end = min(begin + _TILE_ROWS, rows)
            for part in parts:
                self._arena.values[part.column.name][first + begin : first + end] = part.target[begin:end]

    def _find_values(self, part: _Part, slot: int, rows: int) -> None:
        raw = as_bytes(part.target)
        start = slot * self._arena.blobs[part.column.name].shape[1]
        spans = self._arena.spans[part.column.name][slot * self._arena.rows :][:rows]
        at = done = 0
        while done < rows:
            page = read_header(raw[at : at + HEADER_LIMIT])
            begin, end = at + page.start, at + page.start + page.bytes
            if end > len(raw) or done + page.values > rows:
                raise PageError("its pages are larger than the footer says")
            values = raw[begin:end]
            try:
                check(page, values)
            except PageError as error:
                raise BadSum(str(error)) from None
            byte_array_spans(values, start + begin, page.values, spans[done : done + page.values])
            at, done = end, done + page.values

    def _load_slow(self, group: int, slot: int, rows: int, columns: list[ReadColumn]) -> None:
        data = self._split.read_group(group, [column.name for column in columns])
        first = slot * self._arena.rows
        for column in columns:
            values = one_array(data.column(column.name))
            if column.has_mask:
                self._arena.valid[column.name][first : first + rows] = validity(values)
            if column.kind == "dense":
                try:
                    fill_dense(self._arena.values[column.name][first : first + rows], values, column.field)
                except (ValueError, TypeError) as error:
                    raise self._split.corrupt(group, f"values of another size: {error}", column.name) from error
            elif column.kind == "blob":
                self._copy_blobs(group, slot, rows, column, values)
            else:
                self._check_text(group, column, values)
                self._arena.others[slot][column.name] = values

    def _copy_blobs(self, group: int, slot: int, rows: int, column: ReadColumn, values: pa.Array) -> None:
        home = self._arena.blobs[column.name]
        _, offsets, data = values.buffers()
        ends = np.frombuffer(offsets, dtype="<i4")[values.offset : values.offset + rows + 1].astype(np.int64)
        size = int(ends[-1] - ends[0])
        if size > home.shape[1]:
            raise self._split.corrupt(group, f"{size:,} bytes of values, more than the file can hold", column.name)
        if size:
            home[slot, :size] = np.frombuffer(data, dtype=np.uint8)[int(ends[0]) : int(ends[-1])]
        spans = self._arena.spans[column.name][slot * self._arena.rows :][:rows]
        spans[:, 0] = slot * home.shape[1] + ends[:-1] - ends[0]
        spans[:, 1] = np.where(validity(values), np.diff(ends), -1)

    def _check_text(self, group: int, column: ReadColumn, values: pa.Array) -> None:
        """Refuse a dictionary whose words, written out, would fill the memory."""
        if not pa.types.is_dictionary(values.type):
            return
        lengths = pc.binary_length(values.dictionary).take(values.indices)
        if (pc.sum(lengths).as_py() or 0) > FREE_BYTES:
            raise self._split.corrupt(group, f"text of {pc.sum(lengths).as_py():,} bytes in one row group", column.name)


def _is_flat(column: ReadColumn) -> bool:
    """Whether its pages are nothing but values, without levels of nulls and lists."""
    return column.kind != "other" and not column.field.nullable and not pa.types.is_nested(column.field.type)


class SeveralPages(PageError):
    """The values do not lie side by side, and have to be unpacked."""


class BadSum(PageError):
    """A checksum differs: what the page says of itself is not the reason to read it in another way."""


def direct_pages(split: SplitFiles, group: int, column: ReadColumn) -> Array | None:
    """Find the values of a direct column in the file: each in a page of its own.

    Returns:
        int64 (rows, 2): first byte in the file and CRC-32 of each value; None if the pages are not of one value each.

    Raises:
        CorruptionError: If the pages are not as the footer says.
    """
    rows = split.rows_by_group[group]
    chunk = split.chunks(group, [column.name])[0]
    if not chunk.is_plain or chunk.physical_type != "FIXED_LEN_BYTE_ARRAY":
        return None
    found = np.empty((rows, 2), dtype=np.int64)
    at, end = chunk.start, chunk.start + chunk.bytes
    for row in range(rows):
        raw = split.files.read(split.file(group), at, min(HEADER_LIMIT, end - at)) if at < end else b""
        try:
            page = read_header(memoryview(raw))
        except PageError as error:
            raise split.corrupt(group, str(error), column.name) from error
        if page.values != 1 or page.bytes != column.row_bytes:
            if row:
                raise split.corrupt(group, f"page {row} holds {page.values} values, expected 1", column.name)
            return None
        found[row] = at + page.start, page.crc
        at += page.start + page.bytes
    if at != end:
        raise split.corrupt(group, "its pages do not fill what the footer says", column.name)
    return found
