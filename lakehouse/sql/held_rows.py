"""The rows of one answer, kept by columns: paged, filtered, ordered, and counted as histograms."""

from __future__ import annotations

import math
import shutil
import uuid
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from lakehouse.errors import ConfigError, QueryFailedError, one_line
from lakehouse.names import nearest

Row = dict[str, Any]

BINS = 24
"""Bars of a histogram of numbers at most."""
WORDS = 12
"""Values of a text column that are counted one by one; the others are counted together."""
FACET_KINDS = ("number", "text", "boolean", "time")


@dataclass(frozen=True, slots=True)
class Filter:
    """What one column is to be.

    Attributes:
        low: Least value; None: any.
        high: Greatest value, itself only with `closed`; None: any.
        closed: Whether `high` itself is meant too.
        values: Values of which it must be one, None for rows without; (): any.
    """

    low: float | None = None
    high: float | None = None
    closed: bool = False
    values: tuple[str | bool | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a histogram: of numbers from `low` to `high` (excluded, but of the last bar), else of one value."""

    rows: int
    low: float | None = None
    high: float | None = None
    value: str | bool | None = None


@dataclass(frozen=True, slots=True)
class Facet:
    """How the values of a column are distributed.

    Attributes:
        column: Its name.
        kind: number, text, boolean or time; times are seconds since 1970, UTC.
        bars: Numbers and times in ascending order, other values with the most rows first.
        others: Rows with values that have no bar, of a text column with many.
        missing: Rows without a value.
    """

    column: str
    kind: str
    bars: tuple[Bar, ...] = field(default=())
    others: int = 0
    missing: int = 0


class HeldRows:
    """Rows of an answer. Several threads may ask at once.

    Args:
        schema: Columns of the rows; no name twice.
        batches: The rows, in the order in which they are to be shown.
        memory_mb: Memory that they may take.
        folder: Where the rows are kept, in a file that goes with them: memory has those that are looked at, and never
            more than `memory_mb`. None: in memory, all of them.

    Raises:
        QueryFailedError: If they take more memory than that.
    """

    def __init__(
        self, schema: pa.Schema, batches: Iterable[pa.RecordBatch], *, memory_mb: int = 2048, folder: Path | None = None
    ) -> None:
        names = [name.lower() for name in schema.names]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise QueryFailedError(f"two columns are called {twice[0]}; give each a name of its own with `as`")
        if "rowid" in names:
            raise QueryFailedError("a column is called rowid, as places of rows are; give it another name with `as`")
        place = ":memory:"
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            place = str(folder / f"{uuid.uuid4().hex}.duckdb")
        # One thread while they are written: each has a group of rows in memory.
        self._connection = duckdb.connect(place, config={"memory_limit": f"{memory_mb}MB", "threads": 1})
        # Also where nobody closes it: another thread may read what is not wanted any more.
        self._end = weakref.finalize(self, _end, self._connection, place)
        self._connection.execute("SET TimeZone = 'UTC'")
        if folder is None:
            self._connection.execute("SET temp_directory = ''")  # else it would spill into the caller's own folder
        reader = pa.RecordBatchReader.from_batches(schema, batches)
        try:
            self._connection.register("incoming", reader)
            self._connection.execute("create table held as select * from incoming")
            self._connection.unregister("incoming")
            self._connection.execute("SET threads = 2")
        except duckdb.Error as error:
            self.close()
            raise QueryFailedError(f"the rows do not fit into {memory_mb} MB: {one_line(error)}") from None
        self.note = ""
        """What somebody who looks at them should know."""
        self._edges: dict[str, list[float]] = {}
        self._ids: set[str] = set()
        self.kinds: dict[str, str] = {each.name: kind_of(each.type) for each in schema}
        """Column -> number, text, boolean, time, or other."""

    def close(self) -> None:
        """Free the memory, and remove the file."""
        self._end()

    def count(self, filters: Mapping[str, Filter] | None = None) -> int:
        """Return how many rows pass the filters.

        Raises:
            ConfigError: If there is no such column, or a filter is not for its kind.
            QueryFailedError: If it takes more memory than there is.
        """
        where, values = self._where(filters or {})
        return int(self._ask(f"select count(*) from held{where}", values)[0][0])

    def page(
        self, filters: Mapping[str, Filter] | None = None, *, order: str = "", descending: bool = False,
        offset: int = 0, limit: int = 100,
    ) -> list[Row]:
        """Return some rows that pass the filters, as plain values that JSON has.

        Args:
            filters: Column -> filter.
            order: Column to order by, rows without a value last; "": as they came.
            descending: Greatest first.
            offset: First of them, from 0.
            limit: Rows at most.

        Raises:
            ConfigError, QueryFailedError: As `count`.
        """
        where, values = self._where(filters or {})
        first, most = max(0, int(offset)), max(0, int(limit))
        if order or where:
            by = "rowid"
            if order:
                self._check(order)
                by = f"{_quoted(order)} {'desc' if descending else 'asc'} nulls last, rowid"
            # Only where they are: to order whole rows up to the last page takes as much memory as all of them.
            text = f"select rowid from held{where} order by {by} limit {most} offset {first}"
            places = [int(place) for (place,) in self._ask(text, values)]
            wanted = f"rowid in ({', '.join(map(str, places))})"
        else:
            places = list(range(first, min(first + most, self.count())))
            wanted = f"rowid between {first} and {first + most - 1}"
        if not places:
            return []
        found = {row[0]: row[1:] for row in self._ask(f"select rowid, * from held where {wanted}", [])}
        return [{name: plain(value) for name, value in zip(self.kinds, found[each], strict=True)} for each in places]

    def facets(
        self, filters: Mapping[str, Filter] | None = None, *, columns: Sequence[str] | None = None
    ) -> Iterator[Facet]:
        """Yield the distribution of each column, among the rows that pass the filters of all other columns.

        Args:
            filters: Column -> filter.
            columns: Which; None: all of a kind that can be counted, but ids (every row another text); those that are
                filtered always, so that a filter can be seen and taken away.

        Raises:
            ConfigError, QueryFailedError: As `count`.
        """
        wanted = [name for name, kind in self.kinds.items() if kind in FACET_KINDS] if columns is None else columns
        for name in wanted:
            self._check(name)
            is_wanted = columns is not None or name in (filters or {})
            if not is_wanted and name in self._ids:
                continue
            others = {each: found for each, found in (filters or {}).items() if each != name}
            where, values = self._where(others)
            facet = self._facet(name, where, values)
            if is_wanted or not _is_like_an_id(facet):
                yield facet
            elif not where:
                self._ids.add(name)  # nor is it among fewer rows; to find that out takes as long as all other columns

    def _facet(self, name: str, where: str, values: list[object]) -> Facet:
        kind, column = self.kinds[name], _quoted(name)
        if kind in ("number", "time"):
            return self._histogram(name, where, values)
        (said, missing), = self._ask(f"select count({column}), count(*) - count({column}) from held{where}", values)
        # Of ids there are as many values as rows: they never leave DuckDB.
        most = self._ask(
            f"select v, count(*) as n from (select {column} as v from held{where}) where v is not null "
            f"group by 1 order by n desc, 1 limit {WORDS}", values
        )
        bars = tuple(Bar(rows=int(n), value=plain(value)) for value, n in most)
        return Facet(name, kind, bars, int(said) - sum(bar.rows for bar in bars), int(missing))

    def _histogram(self, name: str, where: str, values: list[object]) -> Facet:
        kind, value = self.kinds[name], self._number(name)
        (missing, odd), = self._ask(
            f"select count(*) filter (where v is null), count(*) filter (where not isfinite(v)) "
            f"from (select {value} as v from held{where})", values
        )
        edges = self._edges_of(name)
        if not edges:
            return Facet(name, kind, (), int(odd), int(missing))
        cases = " ".join(f"when v < {edge!r} then {place}" for place, edge in enumerate(edges[1:-1]))
        last = len(edges) - 2
        placed = f"case {cases} else {last} end" if cases else str(last)
        finite = f"(select {value} as v from held{where}) where isfinite(v)"
        counted = dict(self._ask(f"select {placed}, count(*) from {finite} group by 1", values))
        bars = tuple(Bar(int(counted.get(at, 0)), edges[at], edges[at + 1]) for at in range(last + 1))
        return Facet(name, kind, bars, int(odd), int(missing))

    def _edges_of(self, name: str) -> list[float]:
        """Where the bars of a column end; [] without a finite value. Of all rows, so they stay while filters move."""
        if name not in self._edges:
            finite = f"(select {self._number(name)} as v from held) where isfinite(v)"
            (low, high, distinct), = self._ask(f"select min(v), max(v), count(distinct v) from {finite}", [])
            most = min(BINS, max(1, int(distinct)))
            self._edges[name] = [] if low is None else _edges(float(low), float(high), most)
        return self._edges[name]

    def _number(self, name: str) -> str:
        """A column of numbers or times as a double in SQL."""
        return f"epoch({_quoted(name)})" if self.kinds[name] == "time" else f"cast({_quoted(name)} as double)"

    def _where(self, filters: Mapping[str, Filter]) -> tuple[str, list[object]]:
        parts: list[str] = []
        values: list[object] = []
        for name, wanted in filters.items():
            self._check(name)
            column, kind = _quoted(name), self.kinds[name]
            if wanted.low is not None or wanted.high is not None:
                if kind not in ("number", "time"):
                    raise ConfigError(f"column {name} holds {kind}: a filter from low to high is for numbers and times")
                value = self._number(name)
                for limit, sign in ((wanted.low, ">="), (wanted.high, "<=" if wanted.closed else "<")):
                    if limit is not None:
                        parts.append(f"({value} {sign} ? and isfinite({value}))")
                        values.append(float(limit))
            if wanted.values:
                said = [each for each in wanted.values if each is not None]
                choices = [f"cast({column} as varchar) in ({', '.join('?' * len(said))})"] if said else []
                choices += [f"{column} is null"] if None in wanted.values else []
                parts.append(f"({' or '.join(choices)})")
                values += [str(each).lower() if isinstance(each, bool) else str(each) for each in said]
        return (f" where {' and '.join(parts)}" if parts else ""), values

    def _check(self, name: str) -> None:
        if name not in self.kinds:
            raise ConfigError(f"no column `{name}` in these rows{nearest(name, self.kinds)}")

    def _ask(self, text: str, values: list[object]) -> list[tuple[Any, ...]]:
        # A cursor is a connection of its own to the same rows: threads do not meet.
        with self._connection.cursor() as cursor:
            try:
                return cursor.execute(text, values).fetchall()
            except duckdb.Error as error:
                raise QueryFailedError(f"the rows cannot be looked through: {one_line(error)}") from None


def plain(value: object) -> Any:
    """Return a value as JSON can hold it: times as ISO 8601, bytes as their number, what is not finite as text."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        return f"{len(value):,} bytes"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _end(connection: duckdb.DuckDBPyConnection, place: str) -> None:
    connection.close()
    if place != ":memory:":
        for name in (place, f"{place}.wal"):
            Path(name).unlink(missing_ok=True)
        shutil.rmtree(f"{place}.tmp", ignore_errors=True)


def _edges(low: float, high: float, bins: int) -> list[float]:
    if low == high:
        return [low, high]
    # Half of each before the difference: the span of two large numbers may not be finite.
    step = high / bins - low / bins
    inner = [low + step * place for place in range(1, bins)]
    return [low, *dict.fromkeys(each for each in inner if low < each < high), high]


def _is_like_an_id(facet: Facet) -> bool:
    """Whether nothing can be seen in it: every value of a text has one row, or there is none."""
    if not facet.bars:
        return True
    return facet.kind == "text" and facet.others > 0 and facet.bars[0].rows == 1


def kind_of(of: pa.DataType) -> str:
    """Return what a column holds: number, text, boolean, time, or other."""
    if pa.types.is_boolean(of):
        return "boolean"
    if pa.types.is_integer(of) or pa.types.is_floating(of) or pa.types.is_decimal(of):
        return "number"
    if pa.types.is_timestamp(of) or pa.types.is_date(of):
        return "time"
    if pa.types.is_string(of) or pa.types.is_large_string(of) or pa.types.is_dictionary(of):
        return "text"
    return "other"


def _quoted(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'
