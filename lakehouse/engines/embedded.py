"""The embedded engine: DuckDB for SQL, a process pool for functions. No JVM."""

from __future__ import annotations

import itertools
import logging
import weakref
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import cached_property, partial
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable

from lakehouse.config import EngineConfig
from lakehouse.engines.called import Defined, define_called_in_duckdb, tensor_error
from lakehouse.engines.commit import append_batches
from lakehouse.engines.delta import define_view, load_extension, quote
from lakehouse.engines.delta_files import DeltaFiles, newer_query
from lakehouse.engines.dialect import bind
from lakehouse.engines.pool import BatchPool
from lakehouse.engines.protocol import BatchFunction, Commit, Expectation, Outcome, Relation, Taken
from lakehouse.errors import EnvironmentProblemError, TableError, one_line
from lakehouse.home import Home
from lakehouse.progress import progress

logger = logging.getLogger(__name__)

STREAM_ROWS = 65_536

GROUP_BYTES = 4 << 20
"""Rows that a function made and that are written to the scratch folder together."""


class EmbeddedRelation:
    """A query over others, or something of the engine's connection, dropped there once nobody holds this any more.

    Attributes:
        name: What others call it.
        text: The query; None where the connection has something of this name.
        staged: Whether that is a table.
        inputs: What the query reads, kept as long as it is.
    """

    def __init__(
        self, name: str, columns: Callable[[EmbeddedRelation], tuple[str, ...]], *, text: str | None = None,
        staged: bool = False, inputs: Iterable[EmbeddedRelation] = (),
    ) -> None:  # fmt: skip
        self.name = name
        self.text = text
        self.staged = staged
        self.inputs = tuple(inputs)
        self._columns = columns

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, in order; asked for when they are wanted: it costs as much as a small query."""
        return self._columns(self)

    @property
    def rows(self) -> str:
        """Return a query for all rows: one statement, with what it reads of other queries in front.

        No views: to define one, and to drop it, took as long as a small query, and a step has dozens.
        """
        needed: dict[str, str] = {}
        _gather(self, needed)
        # Not materialized: each reader takes the columns and rows that it wants, as of a view.
        parts = ", ".join(f"{name} AS NOT MATERIALIZED ({text})" for name, text in needed.items())
        return f"{f'WITH {parts} ' if parts else ''}SELECT * FROM {self.name}"


def _gather(relation: EmbeddedRelation, needed: dict[str, str]) -> None:
    """Add the query of a relation behind those that it reads; each once."""
    if relation.text is not None and relation.name not in needed:
        for each in relation.inputs:
            _gather(each, needed)
        needed[relation.name] = relation.text


class EmbeddedEngine:
    """See `lakehouse.engines.protocol.Engine`."""

    name = "embedded"

    def __init__(self, *, config: EngineConfig, scratch: Path, pool: BatchPool, home: Home | None = None) -> None:
        self._home = home
        self._functions: Defined = {}
        self._scratch = scratch
        self._numbers = itertools.count()
        self._scans: dict[Path, tuple[int, EmbeddedRelation]] = {}
        self._files: dict[Path, DeltaFiles] = {}
        self._gone: deque[Callable[[], object]] = deque()
        self._pool = pool
        self._workers = pool.workers
        scratch.mkdir(parents=True, exist_ok=True)
        self._connection = duckdb.connect(":memory:")
        self._connection.execute("SET TimeZone = 'UTC'")
        self._connection.execute(f"SET temp_directory = '{quote(str(scratch / 'spill'))}'")
        self._connection.execute(f"SET threads = {self._workers}")
        if config.memory_limit_mb:
            self._connection.execute(f"SET memory_limit = '{config.memory_limit_mb}MB'")
        # What it read of files that are gone it would keep: 1 MB of scratch files and old versions for each import.
        self._connection.execute("SET enable_external_file_cache = false")

    @cached_property
    def _extension(self) -> bool:
        # Loaded for the first table that needs it, none of ours does: DuckDB hashes its 80 MB for each connection,
        # 0.25 CPU seconds of the 0.3 that opening an engine took.
        return load_extension(self._connection)

    def from_arrow(self, data: pa.Table) -> Relation:
        """Take rows that are in memory."""
        name = self._name()
        self._connection.register(name, data)
        columns = tuple(data.column_names)
        relation = EmbeddedRelation(name, lambda _: columns)
        return self._dropped_at_end(relation, partial(self._connection.unregister, name))

    def scan(self, path: Path, version: int, *, since: int | None = None) -> Relation:
        """Read a Delta table at a version."""
        if since is not None:
            with _told():
                text = newer_query(path, DeltaTable(path, version=version), DeltaTable(path, version=since))
                return self._defined(text) if text else self.scan(path, version)
        held = self._scans.get(path)
        if held is not None and held[0] == version:
            return held[1]
        files = self._files.setdefault(path, DeltaFiles(self._connection, path, name=f"kept_{len(self._files)}"))
        with _told():
            text = files.query(DeltaTable(path, version=version))
            if text:
                relation = self._defined(text)
            else:
                name = self._name()
                define_view(self._connection, name, path, version, extension=self._extension)
                relation = EmbeddedRelation(name, self._columns_of)
                self._dropped_at_end(relation, partial(self._connection.execute, f"DROP VIEW {name}"))
        # The version before is dropped once no step reads it: a lake that is open for long sees thousands.
        self._scans[path] = version, relation
        return relation

    def sql(self, text: str, inputs: Mapping[str, Relation], params: Mapping[str, object]) -> Relation:
        """Bind the text to named relations; DuckDB meets it when rows are asked for."""
        own = {key: _own(relation) for key, relation in inputs.items()}
        bound = bind(text, {key: relation.name for key, relation in own.items()}, params, dialect="duckdb")
        define_called_in_duckdb(self._connection, bound, self._home, self._functions)
        return self._defined(bound, own.values())

    def map_batches(
        self,
        relation: Relation,
        function: BatchFunction,
        schema: pa.Schema,
        *,
        rows_per_task: int,
        label: str,
        reads_here: bool = False,
    ) -> Relation:
        """Run the function over batches in the pool; results go to a Parquet file in the scratch folder."""
        staged = self._staged(relation)
        rows = self._count(staged)
        path = self._scratch / f"{self._name()}.parquet"
        sizes: list[int] = []
        with (
            pq.ParquetWriter(path, schema) as writer,
            progress(label, total=rows, unit="rows") as advance,
            # Closed here, also after an error: a reader must not outlive the database it reads.
            closing(self._batches(staged, _task_rows(rows, rows_per_task, self._workers))) as tasks,
            closing(self._pool.run(_note_sizes(tasks, sizes), function)) as results,
        ):
            for group in _row_groups(_advancing(results, sizes, advance), schema):
                writer.write_table(group)
        names = tuple(schema.names)
        mapped = self._defined(f"SELECT * FROM read_parquet('{quote(str(path))}')", columns=lambda _: names)
        weakref.finalize(mapped, path.unlink, missing_ok=True).atexit = False
        return mapped

    def micro_batches(
        self, batches: Iterable[pa.Table], schema: pa.Schema, take: Callable[[Relation], Taken]
    ) -> Iterator[Taken]:
        """Hand over batch by batch."""
        for batch in batches:
            yield take(self.from_arrow(batch.cast(schema)))

    def stage(self, relation: Relation) -> Relation:
        """Compute into a table of the in-memory database, which spills to the scratch folder when it is large."""
        name = self._name()
        self._run(f"CREATE TABLE {name} AS {_own(relation).rows}")
        staged = EmbeddedRelation(name, self._columns_of, staged=True)
        return self._dropped_at_end(staged, partial(self._connection.execute, f"DROP TABLE {name}"))

    def append(self, path: Path, relation: Relation, commit: Commit) -> int:
        """Append by the one committer."""
        with closing(self._batches(self._staged(relation), STREAM_ROWS)) as batches:
            return append_batches(path, batches, commit)

    def arrow(self, relation: Relation) -> pa.Table:
        """Return all rows."""
        with _told():
            return self._connection.execute(_own(relation).rows).to_arrow_table()

    def stream(self, relation: Relation) -> Iterator[pa.RecordBatch]:
        """Return the rows batch by batch."""
        return self._batches(self._staged(relation), STREAM_ROWS)

    def check(self, relation: Relation, expectations: Sequence[Expectation]) -> list[Outcome]:
        """Check expectations with pandas."""
        from lakehouse.engines.expectations import outcomes_of_arrow

        return outcomes_of_arrow(self.arrow(relation), expectations)

    def close(self) -> None:
        """Stop the workers and close the database."""
        self._pool.close()
        self._connection.close()

    def _run(self, text: str) -> duckdb.DuckDBPyConnection:
        with _told():
            return self._connection.execute(text)

    def _name(self) -> str:
        # Here and not at once: a relation may end between a statement and the fetching of its rows.
        while self._gone:
            self._gone.popleft()()
        return f"r{next(self._numbers)}"

    def _defined(
        self, text: str, inputs: Iterable[EmbeddedRelation] = (),
        columns: Callable[[EmbeddedRelation], tuple[str, ...]] | None = None,
    ) -> EmbeddedRelation:  # fmt: skip
        return EmbeddedRelation(self._name(), columns or self._columns_of, text=text, inputs=inputs)

    def _dropped_at_end(self, relation: EmbeddedRelation, drop: Callable[[], object]) -> EmbeddedRelation:
        weakref.finalize(relation, self._gone.append, drop).atexit = False
        return relation

    def _columns_of(self, relation: EmbeddedRelation) -> tuple[str, ...]:
        return tuple(row[0] for row in self._run(f"DESCRIBE {relation.rows}").fetchall())

    def _staged(self, relation: Relation) -> EmbeddedRelation:
        own = _own(relation)
        return own if own.staged else _own(self.stage(own))

    def _count(self, relation: EmbeddedRelation) -> int:
        row = self._run(f"SELECT count(*) FROM {relation.name}").fetchone()
        return int(row[0]) if row else 0

    def _batches(self, relation: EmbeddedRelation, rows: int) -> Generator[pa.RecordBatch, None, None]:
        # Its own cursor: the caller may run other statements while this one is still being read. A cursor
        # sees tables, not objects registered with the first connection: hence only staged relations.
        cursor = self._connection.cursor()
        try:
            with _told(), cursor.execute(relation.rows).to_arrow_reader(rows) as reader:
                for batch in reader:
                    yield from (batch.slice(start, rows) for start in range(0, batch.num_rows, rows))
        finally:
            cursor.close()


@contextmanager
def _told() -> Iterator[None]:
    """What files and memory do to a query is no mistake in it: it becomes an error of ours, in one line."""
    try:
        yield
    except duckdb.InterruptException as error:
        raise KeyboardInterrupt from error
    except RuntimeError as error:
        # As DuckDB's Python client tells of Ctrl-C.
        if "Query interrupted" not in str(error):
            raise
        raise KeyboardInterrupt from error
    except duckdb.OutOfMemoryException as error:
        raise EnvironmentProblemError(
            f"memory is short: {one_line(error, limit=400)}; raise it with --set engine.memory_limit_mb=N, or take "
            "fewer processes with --set engine.workers=1"
        ) from error
    except (duckdb.IOException, duckdb.InvalidInputException) as error:
        told = tensor_error(str(error))
        if told is not None:
            raise told from error
        raise TableError(
            f"the files of a table cannot be read: {one_line(error, limit=400)}; `petrel mend --from COPY` puts them "
            "back from a copy of the lake"
        ) from error


def _own(relation: Relation) -> EmbeddedRelation:
    if not isinstance(relation, EmbeddedRelation):
        raise TypeError(f"a relation of another engine came to the embedded one: {type(relation).__name__}")
    return relation


def _task_rows(rows: int, rows_per_task: int, workers: int) -> int:
    # Enough tasks that the last one to finish does not keep the others waiting for long.
    return max(1, min(rows_per_task, -(-rows // (4 * workers)))) if rows > rows_per_task else rows_per_task


def _advancing(
    results: Iterator[list[pa.RecordBatch]], sizes: list[int], advance: Callable[[int], None]
) -> Iterator[pa.RecordBatch]:
    for result in results:
        yield from result
        advance(sizes.pop(0))


def _row_groups(batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Table]:
    """Gather small batches: a row group of 128 rows costs as much to write, and to read, as one of thousands."""
    waiting: list[pa.RecordBatch] = []
    held = 0
    for batch in batches:
        waiting.append(batch.cast(schema))
        held += batch.nbytes
        if held >= GROUP_BYTES:
            yield pa.Table.from_batches(waiting, schema)
            waiting, held = [], 0
    if waiting:
        yield pa.Table.from_batches(waiting, schema)


def _note_sizes(batches: Iterator[pa.RecordBatch], sizes: list[int]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        sizes.append(batch.num_rows)
        yield batch
