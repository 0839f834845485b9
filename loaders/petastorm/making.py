"""From a row group to the rows that a reader gives: select, decode, transform. Runs in a worker."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa

from loaders.axes import Ints, Mask
from loaders.decoding.arrow import indices, one_chunk
from loaders.errors import CorruptionError
from loaders.ordering.filters import Filter
from loaders.petastorm.cache import CacheBase, NullCache
from loaders.petastorm.columns import batch_column, decode_column, rows_of
from loaders.petastorm.frames import columns_of_frame, frame_of
from loaders.petastorm.kinds import Column, Row
from loaders.petastorm.ngram import NGram
from loaders.petastorm.predicates import PredicateBase, included
from loaders.petastorm.rowgroups.discovery import Known
from loaders.petastorm.rowgroups.folder import ParquetFolder, Piece, reopen
from loaders.petastorm.rowgroups.order import all_rows, rows_in_order
from loaders.petastorm.rowgroups.work import Loaded, Made, Maker, Rows, Task
from loaders.petastorm.shipping import Shipped, digest_of
from loaders.petastorm.sizes import decoded_bytes
from loaders.petastorm.transform import TransformSpec
from loaders.petastorm.unischema import Unischema
from loaders.petastorm.utils import DecodeFieldError
from schemas.canonical import canonical_json

PIECE_BYTES = 2 << 20
"""Rows are decoded in pieces of about this size: the first comes soon, and few bytes wait for the caller."""

_NO_ROWS: Ints = np.empty(0, np.int64)
_MOST_ROWS = 4096


@dataclass(frozen=True)
class RowGroupSteps:
    """What a reader does with each row group; travels to worker processes.

    Attributes:
        stored: All columns of the dataset.
        schema: The columns that are read.
        result: The columns that are delivered, after the transform.
        is_batched: Whether a row group is one item, and its columns are not decoded.
        shuffles_rows: Whether rows are shuffled inside their row group.
        ngram: Windows of rows that make one item; None: each row is one.
        predicate: Which rows are kept.
        filters: The same as conditions on columns, as pyarrow writes them.
        transform: What becomes of each row, or of each row group.
        cache: Where made row groups are kept.
    """

    stored: Unischema
    schema: Unischema
    result: Unischema
    is_batched: bool
    shuffles_rows: bool
    ngram: NGram | None
    predicate: PredicateBase | None
    filters: Filter | None
    transform: TransformSpec | None
    cache: CacheBase


@dataclass(frozen=True)
class SentSteps:
    """A recipe and the folder it is for, ready to be sent to another process."""

    folder: Known
    recipe: Shipped[RowGroupSteps]

    def maker(self) -> Maker:
        """Open the folder."""
        return RowGroupMaker(reopen(self.folder), self.recipe.value)


class RowGroupMaker:
    """Makes the rows of row groups. Safe to use from several threads."""

    def __init__(self, folder: ParquetFolder, recipe: RowGroupSteps) -> None:
        self._folder, self._recipe = folder, recipe
        self._key = None if isinstance(recipe.cache, NullCache) else _recipe_key(recipe)

    def load(self, task: Task) -> Loaded:
        """Read what a unit needs: of columns that select rows everything, of the others only if a row is left.

        Raises:
            ValueError, RuntimeError: If predicate, cache and schema do not fit each other.
            CorruptionError, StorageError, DeadlineError: If the files cannot be read.
            Exception: Whatever a predicate or a transform raises.
        """
        recipe, piece = self._recipe, self._folder.pieces[task.unit.ordinal]
        self._check(task)
        with self._at(piece):
            if recipe.filters is not None and not self._folder.may_match(piece, recipe.filters):
                return Made((), 0)
            if self._key is not None:
                return self._cached(task, piece)
            columns, rows = self._selected(task, piece)
            return self._batch(columns, rows) if recipe.is_batched else self._decoding(piece, columns, rows)

    def _decoding(self, piece: Piece, columns: Mapping[str, pa.Array], rows: Ints) -> _Decoding:
        return _Decoding(self._recipe, columns, rows, partial(self._at, piece))

    @contextmanager
    def _at(self, piece: Piece, rows: Ints = _NO_ROWS) -> Iterator[None]:
        """Have an error say where it came up; `rows` are those of the row group that are being decoded."""
        file = f"{self._folder.root}/{piece.file}"
        try:
            yield
        except Exception as error:
            if isinstance(error, DecodeFieldError):
                error.file, error.row_group = file, piece.row_group
                error.row = int(rows[error.row]) if error.row is not None and error.row < len(rows) else None
            row = getattr(error, "row", None)
            where = f", row {row}," if isinstance(row, int) else ""
            error.add_note(f"while reading row group {piece.row_group}{where} of {file}")
            raise

    def _check(self, task: Task) -> None:
        recipe = self._recipe
        if self._key is not None and recipe.predicate is not None:
            raise RuntimeError(
                "Local cache is not supported together with predicates, unless the dataset is partitioned by the "
                "column the predicate operates on."
            )
        if self._key is not None and task.unit.parts > 1:
            raise RuntimeError("Local cache is not supported together with shuffle_row_drop_partitions > 1")
        if recipe.predicate is None:
            return
        wanted = set(recipe.predicate.get_fields())
        if not wanted:
            raise ValueError("At least one field name must be returned by predicate's get_field() method")
        if missing := wanted - set(recipe.stored.fields):
            raise ValueError(
                f"At least some column names requested by the predicate ({', '.join(sorted(missing))}) are not valid "
                f"schema names: ({', '.join(recipe.stored.fields)})"
            )

    def _selected(self, task: Task, piece: Piece) -> tuple[dict[str, pa.Array], Ints]:
        """Return the columns of a row group, and which of its rows come in which order."""
        recipe, folder = self._recipe, self._folder
        names = list(recipe.schema.fields)
        first = [] if recipe.predicate is None else list(recipe.predicate.get_fields())
        filtered = () if recipe.filters is None else recipe.filters.columns
        first += [name for name in filtered if name not in first]
        if not first:
            table = self._read(piece, names)
            return _columns(table), self._order(task, table.num_rows)
        chosen = self._read(piece, first)
        rows = self._order(task, chosen.num_rows)
        if recipe.filters is not None:
            rows = rows[folder.matches(chosen, recipe.filters)[rows]]
        columns = _columns(chosen)
        if recipe.predicate is not None and len(rows):
            fields = list(recipe.predicate.get_fields())
            rows = rows[self._includes(recipe.predicate, {name: columns[name] for name in fields}, rows)]
        rest = [name for name in names if name not in columns]
        if len(rows) and rest:
            columns |= _columns(self._read(piece, rest))
        return ({name: columns[name] for name in names}, rows) if len(rows) else ({}, rows)

    def _read(self, piece: Piece, names: Sequence[str]) -> pa.Table:
        """Return columns of a row group; a file may lack those that may be null, and no others."""
        for name in names:
            field = self._recipe.stored.fields.get(name)
            if field is not None and field.nullable is False and not self._folder.holds(piece, name):
                raise CorruptionError(
                    f"{self._folder.root}/{piece.file} lacks the column {name!r}, which is never null; copy or write "
                    "the file again",
                    file=f"{self._folder.root}/{piece.file}", column=name,
                )  # fmt: skip
        return self._folder.read(piece, names)

    def _order(self, task: Task, count: int) -> Ints:
        recipe, unit = self._recipe, task.unit
        rows = rows_in_order(unit, count, seed=task.seed, epoch=task.epoch, is_shuffled=recipe.shuffles_rows)
        if recipe.ngram is not None and unit.parts > 1 and len(rows):  # windows that begin here end in the next part
            more = np.arange(rows[-1] + 1, min(rows[-1] + recipe.ngram.length, count))
            rows = np.concatenate([rows, more])
        return rows

    def _includes(self, predicate: PredicateBase, columns: Mapping[str, pa.Array], rows: Ints) -> Mask:
        """Return which rows a predicate keeps: bool (rows,)."""
        chosen = {name: take(column, rows) for name, column in columns.items()}
        if self._recipe.is_batched:
            return included(predicate, frame_of(chosen))
        decoded = [rows_of(decode_column(self._recipe.stored.fields[name], chosen[name])) for name in chosen]
        names = list(chosen)
        found = [bool(predicate.do_include(dict(zip(names, row, strict=True)))) for row in zip(*decoded, strict=True)]
        return np.array(found, dtype=bool)

    def _batch(self, columns: Mapping[str, pa.Array], rows: Ints) -> Made:
        """Make the one item of a row group: columns of numpy arrays."""
        if not len(rows):
            return Made((), 0)
        recipe = self._recipe
        transform = recipe.transform
        if transform is not None and transform.func is not None:
            frame = transform.func(frame_of({name: take(column, rows) for name, column in columns.items()}))
            made = columns_of_frame(frame, recipe.result, transform)
            count = len(frame)
        else:
            fields = recipe.result.fields
            missing = [name for name in fields if name not in columns]
            if missing:
                raise ValueError(
                    f"Transformed result columns ({','.join(columns)}) do not match required schema "
                    f"columns({','.join(fields)})"
                )
            made, count = {}, len(rows)
            whole = is_range(rows, len(next(iter(columns.values()))))
            for name in fields:
                column = columns[name] if whole else take(columns[name], rows)
                made[name] = batch_column(recipe.schema.fields[name], column)
        if not count:
            return Made((), 0)
        return Made((Rows(made, count),), _bytes(made))

    def _cached(self, task: Task, piece: Piece) -> Loaded:
        """Return rows from the cache, which keeps them as they are made, in stored order."""
        recipe = self._recipe
        version = self._folder.version(piece.file)
        text = f"{self._folder.root}|{piece.file}|{piece.row_group}|{version}|{self._key}"
        key = f"{hashlib.sha256(text.encode()).hexdigest()}:{piece.file}:{piece.row_group}"

        def fill() -> Row:
            filtered = () if recipe.filters is None else recipe.filters.columns
            table = self._read(piece, list(dict.fromkeys([*recipe.schema.fields, *filtered])))
            rows = np.arange(table.num_rows)
            if recipe.filters is not None:
                rows = rows[self._folder.matches(table, recipe.filters)]
            columns = {name: column for name, column in _columns(table).items() if name in recipe.schema.fields}
            loaded = self._batch(columns, rows) if recipe.is_batched else self._decoding(piece, columns, rows)
            pieces = [loaded.make(number) for number in range(loaded.pieces)]
            made = {name: _joined([each.columns[name] for each in pieces]) for name in recipe.result.fields}
            return {"columns": made, "rows": rows, "of": table.num_rows}

        kept = recipe.cache.get(key, fill)
        columns, count, rows = kept["columns"], len(kept["rows"]), self._order(task, kept["of"])
        if recipe.is_batched and recipe.transform is not None and recipe.transform.func is not None:
            count = max(map(len, columns.values()))  # its own number of rows
            rows = self._order(task, count)
        elif count < kept["of"]:  # filters left some out
            places = np.full(kept["of"], -1)
            places[kept["rows"]] = np.arange(count)
            rows = places[rows][places[rows] >= 0]
        if not len(rows):
            return Made((), 0)
        if not is_range(rows, count):
            columns = {name: _pick(column, rows) for name, column in columns.items()}
        if recipe.ngram is not None:
            return Made((_windowed(recipe.ngram, columns, len(rows)),), _bytes(columns))
        whole = Rows(columns, len(rows))
        size = len(rows) if recipe.is_batched else max(1, min(_MOST_ROWS, -(-len(rows) // 4)))
        return Made(tuple(whole[at : at + size] for at in range(0, len(rows), size)), _bytes(columns))


class _Decoding:
    """The rows of a unit that are to be decoded, in pieces."""

    def __init__(
        self,
        recipe: RowGroupSteps,
        columns: Mapping[str, pa.Array],
        rows: Ints,
        at: Callable[[Ints], AbstractContextManager[None]],
    ) -> None:
        self._recipe, self._columns, self._rows, self._at = recipe, columns, rows, at
        self.bytes = sum(column.nbytes for column in columns.values())
        self._ends = [0]
        if columns and len(rows):
            self._ends += [len(rows)] if recipe.ngram is not None else _pieces(recipe.schema, columns, rows)

    @property
    def pieces(self) -> int:
        """How many there are."""
        return len(self._ends) - 1

    def make(self, piece: int) -> Rows:
        """Decode a piece; raises DecodeFieldError, or what the transform raises."""
        rows = self._rows[self._ends[piece] : self._ends[piece + 1]]
        with self._at(rows):
            return self._made(rows)

    def _made(self, rows: Ints) -> Rows:
        recipe = self._recipe
        columns = {
            name: decode_column(recipe.schema.fields[name], take(column, rows))
            for name, column in self._columns.items()
        }
        count = len(rows)
        if recipe.transform is not None:
            columns = _transformed(columns, recipe.transform, recipe.result)
        if recipe.ngram is not None:
            return _windowed(recipe.ngram, columns, count)
        return Rows(columns, count)


def take(column: pa.Array, rows: Ints) -> pa.Array:
    """Return some values of an Arrow array; a stretch of it is no copy."""
    if len(rows) and int(rows[-1]) - int(rows[0]) + 1 == len(rows) and bool((np.diff(rows) == 1).all()):
        return column.slice(int(rows[0]), len(rows))
    return column.take(indices(rows))


def is_range(rows: Ints, count: int) -> bool:
    """Whether rows are 0 ... count-1."""
    return rows is all_rows(count) or (len(rows) == count and bool((rows == np.arange(count)).all()))


def _transformed(columns: Row, transform: TransformSpec, schema: Unischema) -> Row:
    """Call a transform with each row."""
    function: Callable[[Row], Row] | None = transform.func
    if function is None:
        return {name: columns[name] for name in schema.fields}
    names = list(columns)
    made = []
    for values in zip(*(rows_of(columns[name]) for name in names), strict=True):
        row = dict(function(dict(zip(names, values, strict=True))))
        for name in transform.removed_fields or []:
            row.pop(name, None)
        if row.keys() != schema.fields.keys():
            if transform.selected_fields is None or not row.keys() >= schema.fields.keys():
                raise TypeError(
                    f"a transform returned the fields {sorted(row)}, its edited schema has {sorted(schema.fields)}; "
                    "list what it adds in edit_fields and what it drops in removed_fields"
                )
        made.append(row)
    return {name: [row[name] for row in made] for name in schema.fields}


def _windowed(ngram: NGram, columns: Row, count: int) -> Rows:
    times = rows_of(columns[ngram.timestamp_name])
    return Rows(columns, count, ngram.windows(times))


def _columns(table: pa.Table) -> dict[str, pa.Array]:
    return {name: one_chunk(table.column(name)) for name in table.column_names}


def _pick(column: Column, rows: Ints) -> Column:
    return column[rows] if isinstance(column, np.ndarray) else [column[row] for row in rows.tolist()]


def _joined(parts: Sequence[Column]) -> Column:
    if not parts:
        return []
    arrays = [part for part in parts if isinstance(part, np.ndarray)]
    if len(arrays) == len(parts) and len({(array.shape[1:], array.dtype) for array in arrays}) == 1:
        return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
    return [value for part in parts for value in rows_of(part)]


def _bytes(columns: Mapping[str, Column]) -> int:
    """Return the memory of made columns; a value that does not tell counts as 100 bytes."""
    return sum(
        column.nbytes if isinstance(column, np.ndarray) else sum(getattr(value, "nbytes", 100) for value in column)
        for column in columns.values()
    )


def _pieces(schema: Unischema, columns: Mapping[str, pa.Array], rows: Ints) -> list[int]:
    """Return where each piece of the rows ends."""
    sizes = np.zeros(len(rows), dtype=np.int64)
    for name, column in columns.items():
        sizes += decoded_bytes(schema.fields[name], column)[rows]
    ends = np.cumsum(sizes)
    found = [0]
    while found[-1] < len(rows):
        begin = found[-1]
        limit = PIECE_BYTES + (int(ends[begin - 1]) if begin else 0)
        end = int(np.searchsorted(ends, limit, side="right"))
        found.append(min(max(begin + 1, end), begin + _MOST_ROWS, len(rows)))
    return found[1:]


def _recipe_key(recipe: RowGroupSteps) -> str:
    """Return what cached rows depend on beside their file: columns, conditions and the transform."""
    transform = recipe.transform
    parts = [
        "rows-2", str(recipe.is_batched), str(recipe.schema), str(recipe.result),
        "all" if recipe.filters is None else canonical_json(recipe.filters.canonical()),
        "none" if transform is None else digest_of(transform.func),
    ]  # fmt: skip
    return hashlib.sha256("|".join(parts).encode()).hexdigest()
