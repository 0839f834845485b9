"""The Spark engine: DataFrames, mapInArrow and delta-spark; a laptop or a cluster without a change.

What is staged is written as Parquet below the lake's own scratch folder: unlike a cached frame it outlives a lost
executor, so that no function ever runs twice, and the driver can see how large it is.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from lakehouse.engines.commit import append_batches, append_files
from lakehouse.engines.dialect import bind
from lakehouse.engines.protocol import BatchFunction, Commit, Relation
from lakehouse.engines.spark_tables import arrow_schema, location, read_table, schema_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

SMALL_BYTES = 64 << 20
"""Up to so many staged bytes are written by the driver itself, which takes no job of Spark's."""

FILE_BYTES = 128 << 20
"""Target size of the files that an append writes."""


@dataclass(frozen=True, slots=True)
class SparkRelation:
    """A DataFrame, registered as a temporary view; `folder` is where it is staged, None if it is not."""

    view: str
    frame: DataFrame
    folder: Path | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        return tuple(self.frame.columns)


class SparkEngine:
    """See `lakehouse.engines.protocol.Engine`. Uses the running session, or starts one that it leaves running."""

    name = "spark"

    def __init__(self, *, scratch: Path) -> None:
        from lakehouse.spark.session import build_session

        self._session: SparkSession = build_session("petrel")
        self._scratch = scratch
        self._prefix = f"petrel_{uuid.uuid4().hex[:12]}_"
        self._numbers = itertools.count()
        self._views: list[str] = []
        self._scans: dict[tuple[Path, int, int | None], SparkRelation] = {}
        scratch.mkdir(parents=True, exist_ok=True)

    def from_arrow(self, data: pa.Table) -> Relation:
        """Take rows that are in memory, by way of a file: rows inside the plan would travel with every task."""
        folder = self._folder()
        ds.write_dataset(data, folder, format="parquet")
        return self._staged(folder, schema_of(data.schema))

    def scan(self, path: Path, version: int, *, since: int | None = None) -> Relation:
        """Read a Delta table at a version."""
        if (path, version, since) not in self._scans:
            frame = read_table(self._session, path, version, since=since)
            self._scans[path, version, since] = self._register(frame)
        return self._scans[path, version, since]

    def sql(self, text: str, inputs: Mapping[str, Relation], params: Mapping[str, object]) -> Relation:
        """Plan one query over named relations."""
        names = {name: _own(relation).view for name, relation in inputs.items()}
        return self._register(self._session.sql(bind(text, names, params, dialect="spark")))

    def map_batches(
        self, relation: Relation, function: BatchFunction, schema: pa.Schema, *, rows_per_task: int, label: str
    ) -> Relation:
        """Run the function in Python workers by mapInArrow and stage what it yields."""
        context = self._session.sparkContext
        # Rows may come in one small file and yet be hours of work: spread them, some tasks more than there are
        # cores, so that the last one to finish does not keep the others waiting for long.
        spread = _own(relation).frame.repartition(2 * context.defaultParallelism)
        context.setJobDescription(label)
        try:
            # Few rows a batch, so that a worker holds few decoded images.
            with self._settings({"spark.sql.execution.arrow.maxRecordsPerBatch": str(rows_per_task)}):
                return self._stage(spread.mapInArrow(function, schema_of(schema)))
        finally:
            context.setJobDescription(None)  # type: ignore[arg-type]

    def stage(self, relation: Relation) -> Relation:
        """Compute once into Parquet files in the scratch folder."""
        own = _own(relation)
        return own if own.folder is not None else self._stage(own.frame)

    def append(self, path: Path, relation: Relation, commit: Commit) -> int:
        """Append by the one committer; the files of many rows are written by the executors."""
        staged = _own(self.stage(relation))
        if _bytes(staged) <= SMALL_BYTES:
            return append_batches(path, self.stream(staged), commit)
        return self._append_large(path, staged, commit)

    def arrow(self, relation: Relation) -> pa.Table:
        """Return all rows."""
        return _own(relation).frame.toArrow()

    def stream(self, relation: Relation) -> Iterator[pa.RecordBatch]:
        """Stage, then read the files in order: only one batch is in the driver at a time."""
        staged = _own(self.stage(relation))
        schema = arrow_schema(staged.frame.schema)
        for file in _files(staged):
            yield from ds.dataset(file, schema=schema, format="parquet").to_batches()

    def close(self) -> None:
        """Forget the views; the session stays, it may be shared."""
        for view in self._views:
            self._session.catalog.dropTempView(view)
        self._views.clear()
        self._scans.clear()

    def _append_large(self, path: Path, staged: SparkRelation, commit: Commit) -> int:
        typed = staged.frame.select(
            *(staged.frame[field.name].cast(field.dataType) for field in schema_of(commit.schema).fields)
        ).coalesce(1 + _bytes(staged) // FILE_BYTES)
        # Written by the executors with page checksums (parquet-mr's default); Delta's log is the committer's alone.
        written = _own(self._stage(typed))
        return append_files(path, [file for file in _files(written) if pq.read_metadata(file).num_rows], commit)

    def _stage(self, frame: DataFrame) -> SparkRelation:
        folder = self._folder()
        frame.write.parquet(location(folder, pattern=False))
        return self._staged(folder, frame.schema)

    def _staged(self, folder: Path, schema: StructType) -> SparkRelation:
        return self._register(self._session.read.schema(schema).parquet(location(folder)), folder)

    def _folder(self) -> Path:
        return self._scratch / f"stage-{next(self._numbers)}"

    def _register(self, frame: DataFrame, folder: Path | None = None) -> SparkRelation:
        view = f"{self._prefix}{next(self._numbers)}"
        frame.createOrReplaceTempView(view)
        self._views.append(view)
        return SparkRelation(view, frame, folder)

    @contextmanager
    def _settings(self, settings: Mapping[str, str]) -> Iterator[None]:
        conf = self._session.conf
        before = {key: conf.get(key, None) for key in settings}
        for key, value in settings.items():
            conf.set(key, value)
        try:
            yield
        finally:
            for key, old in before.items():
                if old is None:
                    conf.unset(key)
                else:
                    conf.set(key, old)


def _own(relation: Relation) -> SparkRelation:
    if not isinstance(relation, SparkRelation):
        raise TypeError(f"a relation of another engine came to Spark: {type(relation).__name__}")
    return relation


def _files(staged: SparkRelation) -> list[Path]:
    # The numbers in the names are the order of the partitions, hence of a sorted relation's rows.
    return [] if staged.folder is None else sorted(staged.folder.glob("*.parquet"))


def _bytes(staged: SparkRelation) -> int:
    return sum(file.stat().st_size for file in _files(staged))
