"""The Spark engine: DataFrames, mapInArrow and delta-spark; a laptop or a cluster without a change.

What is staged is written as Parquet, below the scratch folder or, on a cluster whose lake is in a bucket, in that
bucket (`lakehouse.engines.spark_staging`): unlike a cached frame it outlives a lost executor, so that no function ever
runs twice, and the driver can see how large it is.
"""

from __future__ import annotations

import itertools
import json
import os
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from lakehouse.engines.called import Defined, define_called_in_spark
from lakehouse.engines.commit import append_batches, append_files, append_stored
from lakehouse.engines.dialect import bind
from lakehouse.engines.parquet import DataFile, describe_bytes
from lakehouse.engines.protocol import BatchFunction, Commit, Expectation, Outcome, Relation, Taken
from lakehouse.engines.spark_staging import BucketStaging, LocalStaging, StagedFile, Staging
from lakehouse.engines.spark_streaming import stream_batches
from lakehouse.engines.spark_tables import arrow_schema, far_address, read_table, schema_of
from lakehouse.errors import TableError
from lakehouse.home import Home
from lakehouse.spark.s3a import reach

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

SMALL_BYTES = 64 << 20
"""Up to so many staged bytes are written by the driver itself, which takes no job of Spark's."""

FILE_BYTES = 128 << 20
"""Target size of the files that an append writes."""


COMMITTER = {
    # Whoever reads a staged folder waits for its job. So tasks may name their files by themselves, which in a bucket is
    # one copy of each instead of two, and a repeated task writes the file of the first again.
    "mapreduce.fileoutputcommitter.algorithm.version": "2",
    "mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
}
"""How executors write what is staged in a bucket."""

DESCRIBED = pa.schema(
    [("name", pa.string()), ("size", pa.int64()), ("sha256", pa.string()), ("statistics", pa.string())]
)


@dataclass(frozen=True, slots=True)
class SparkRelation:
    """A DataFrame, registered as a temporary view; `staged` is its number in the staging, None if it is not there."""

    view: str
    frame: DataFrame
    staged: int | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        return tuple(self.frame.columns)


class SparkEngine:
    """See `lakehouse.engines.protocol.Engine`. Uses the running session, or starts one that it leaves running."""

    name = "spark"

    def __init__(self, *, scratch: Path, home: Home | None = None) -> None:
        """Start Spark, or take the session that runs.

        Args:
            scratch: Folder of this machine.
            home: The lake; where it is in a bucket, executors of a cluster read and write it there.

        Raises:
            ConfigError: If the lake is in a bucket that a cluster cannot read.
            EnvironmentProblemError: If Java, pyspark or the archives are missing.
        """
        from lakehouse.spark.session import build_session, has_far_workers

        self._session: SparkSession = build_session("petrel")
        self._prefix = f"petrel_{uuid.uuid4().hex[:12]}_"
        self._numbers = itertools.count()
        self._views: list[str] = []
        self._scans: dict[tuple[Path, int, int | None], SparkRelation] = {}
        self._scratch = scratch
        self._home: Home | None = None
        self._lake = home
        self._functions: Defined = {}
        self._staging: Staging
        if home is None or home.is_local or not has_far_workers(self._session):
            self._staging = LocalStaging(scratch)
        else:
            reach(self._session, home.address, home.store, os.environ)
            self._home = home
            self._staging = BucketStaging(home, scratch)

    @property
    def is_far(self) -> bool:
        """Whether its workers see nothing of this machine: only the lake's bucket is common to both."""
        return self._home is not None

    def from_arrow(self, data: pa.Table) -> Relation:
        """Take rows that are in memory, by way of a file: rows inside the plan would travel with every task."""
        number = next(self._numbers)
        self._staging.put(number, data.to_batches(), data.schema)
        return self._staged(number, schema_of(data.schema))

    def scan(self, path: Path, version: int, *, since: int | None = None) -> Relation:
        """Read a Delta table at a version."""
        if (path, version, since) not in self._scans:
            far = None if self._home is None else far_address(self._session, path)
            frame = read_table(self._session, path, version, since=since, far=far)
            self._scans[path, version, since] = self._register(frame)
        return self._scans[path, version, since]

    def sql(self, text: str, inputs: Mapping[str, Relation], params: Mapping[str, object]) -> Relation:
        """Plan one query over named relations."""
        names = {name: _own(relation).view for name, relation in inputs.items()}
        bound = bind(text, names, params, dialect="spark")
        define_called_in_spark(self._session, bound, self._lake, self._functions)
        return self._register(self._session.sql(bound))

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
        """Run the function in Python workers by mapInArrow and stage what it yields."""
        if reads_here and self._home is not None:
            number = next(self._numbers)
            self._staging.put(number, function(self.stream(relation)), schema)
            return self._staged(number, schema_of(schema))
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

    def micro_batches(
        self, batches: Iterable[pa.Table], schema: pa.Schema, take: Callable[[Relation], Taken]
    ) -> Iterator[Taken]:
        """Write each batch where a streaming query reads it, as one of its micro-batches.

        Its checkpoint lasts as long as the query: how far a stream has come, tables tell that are committed with it.
        """
        number = next(self._numbers)
        return stream_batches(
            self._session, self._staging, number, self._scratch / f"checkpoint-{number}", batches, schema,
            lambda frame: take(self._stage(frame)),
        )  # fmt: skip

    def stage(self, relation: Relation) -> Relation:
        """Compute once into Parquet files."""
        own = _own(relation)
        return own if own.staged is not None else self._stage(own.frame)

    def append(self, path: Path, relation: Relation, commit: Commit) -> int:
        """Append by the one committer; the files of many rows are written by the executors."""
        staged = _own(self.stage(relation))
        if self._bytes(staged) <= SMALL_BYTES:
            return append_batches(path, self.stream(staged), commit)
        return self._append_large(path, staged, commit)

    def arrow(self, relation: Relation) -> pa.Table:
        """Return all rows."""
        return _own(relation).frame.toArrow()

    def stream(self, relation: Relation) -> Iterator[pa.RecordBatch]:
        """Stage, then read the files in order: only one batch is in the driver at a time."""
        staged = _own(self.stage(relation))
        schema = arrow_schema(staged.frame.schema)
        for file in self._files(staged):
            with self._staging.opened(file) as path:
                yield from ds.dataset(path, schema=schema, format="parquet").to_batches()

    def check(self, relation: Relation, expectations: Sequence[Expectation]) -> list[Outcome]:
        """Check expectations over the frame, where its rows are."""
        from lakehouse.engines.expectations import outcomes_of_spark

        return outcomes_of_spark(_own(relation).frame, expectations)

    def close(self) -> None:
        """Forget the views and remove what is staged; the session stays, it may be shared."""
        for view in self._views:
            self._session.catalog.dropTempView(view)
        self._views.clear()
        self._scans.clear()
        self._staging.clear()

    def _append_large(self, path: Path, staged: SparkRelation, commit: Commit) -> int:
        typed = staged.frame.select(
            *(staged.frame[field.name].cast(field.dataType) for field in schema_of(commit.schema).fields)
        ).coalesce(1 + self._bytes(staged) // FILE_BYTES)
        # Written by the executors with page checksums (parquet-mr's default); Delta's log is the committer's alone.
        written = _own(self._stage(typed))
        if self._home is not None:
            return append_stored(path, self._described(written, self._home), commit)
        files = [Path(file.name) for file in self._files(written)]
        return append_files(path, [file for file in files if pq.read_metadata(file).num_rows], commit)

    def _described(self, written: SparkRelation, home: Home) -> list[DataFile]:
        """Return what the log says about staged files that have rows: executors read them, and none comes here."""
        names = pa.table({"name": [file.name for file in self._files(written)]})
        function = partial(described_files, home=home)
        told = self.map_batches(
            self.from_arrow(names), function, DESCRIBED, rows_per_task=1, label="hashes of written files"
        )
        rows = sorted(self.arrow(told).to_pylist(), key=lambda row: str(row["name"]))
        if [row["name"] for row in rows] != sorted(names["name"].to_pylist()):
            raise TableError(f"{len(rows)} of {names.num_rows} written files were described; nothing was written")
        found = [DataFile(**row) for row in rows]
        return [file for file in found if json.loads(file.statistics)["numRecords"]]

    def _stage(self, frame: DataFrame) -> SparkRelation:
        number = next(self._numbers)
        writer = frame.write
        if self._home is not None:
            writer = writer.options(**COMMITTER)
        writer.parquet(self._staging.location(number))
        return self._staged(number, frame.schema)

    def _staged(self, number: int, schema: StructType) -> SparkRelation:
        return self._register(self._session.read.schema(schema).parquet(self._staging.location(number)), number)

    def _files(self, staged: SparkRelation) -> list[StagedFile]:
        return [] if staged.staged is None else self._staging.files(staged.staged)

    def _bytes(self, staged: SparkRelation) -> int:
        return sum(file.size for file in self._files(staged))

    def _register(self, frame: DataFrame, staged: int | None = None) -> SparkRelation:
        view = f"{self._prefix}{next(self._numbers)}"
        frame.createOrReplaceTempView(view)
        self._views.append(view)
        return SparkRelation(view, frame, staged)

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


def described_files(batches: Iterator[pa.RecordBatch], *, home: Home) -> Iterator[pa.RecordBatch]:
    """Yield `DESCRIBED` for files of a lake by their names; each is in memory for a moment."""
    for batch in batches:
        names: list[str] = batch["name"].to_pylist()
        rows = [asdict(describe_bytes(name, home.files.read_whole(name))) for name in names]
        yield pa.RecordBatch.from_pylist(rows, schema=DESCRIBED)
