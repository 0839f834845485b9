"""The Spark engine: DataFrames, mapInArrow and delta-spark; a laptop or a cluster without a change.

What is staged is written as Parquet below the lake's own scratch folder: unlike a cached frame it outlives a lost
executor, so that no function ever runs twice, and the driver can see how large it is.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.dataset as ds
from deltalake import DeltaTable

from lakehouse.engines.protocol import BatchFunction, Commit, Relation
from lakehouse.errors import ConcurrentWriteError, TableError
from lakehouse.sql.delta import guard
from lakehouse.sql.dialect import bind

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

CONFLICTS = (
    "ConcurrentAppendException", "ConcurrentTransactionException", "ConcurrentWriteException",
    "ConcurrentDeleteReadException", "ProtocolChangedException", "MetadataChangedException",
    "FileAlreadyExistsException", "DELTA_MAX_COMMIT_RETRIES_EXCEEDED", "maxCommitRetriesExceeded",
)
"""What Delta calls a commit that came second, as it stands in the Java text."""

BROKEN_RULES = (
    "DELTA_VIOLATE_CONSTRAINT", "DELTA_NOT_NULL_CONSTRAINT", "CAST_OVERFLOW", "NOT_NULL_ASSERT_VIOLATION",
)

DIRECT_FILES = 64
"""A table of at most so many files is read as these files. Spark's own replay of the log takes 1 to 3 s for each new
version of a small table (several jobs), delta-rs 10 ms; with many files Delta's statistics are worth the replay."""

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
        from lakehouse.sparkconf import build_session

        self._session: SparkSession = build_session("petrel")
        self._scratch = scratch
        self._prefix = f"petrel_{scratch.name}_"
        self._numbers = itertools.count()
        self._views: list[str] = []
        self._scans: dict[tuple[Path, int], SparkRelation] = {}
        scratch.mkdir(parents=True, exist_ok=True)

    def from_arrow(self, data: pa.Table) -> Relation:
        """Take rows that are in memory, by way of a file: rows inside the plan would travel with every task."""
        folder = self._folder()
        ds.write_dataset(data, folder, format="parquet")
        return self._staged(folder, _schema(data.schema))

    def scan(self, path: Path, version: int) -> Relation:
        """Read a Delta table at a version."""
        if (path, version) not in self._scans:
            self._scans[path, version] = self._register(self._read(path, version))
        return self._scans[path, version]

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
                return self._stage(spread.mapInArrow(function, _schema(schema)))
        finally:
            context.setJobDescription(None)  # type: ignore[arg-type]

    def stage(self, relation: Relation) -> Relation:
        """Compute once into Parquet files in the scratch folder."""
        own = _own(relation)
        return own if own.folder is not None else self._stage(own.frame)

    def append(self, path: Path, relation: Relation, commit: Commit) -> int:
        """Append through delta-spark, which checks NOT NULL and CHECK constraints."""
        staged = _own(self.stage(relation))
        typed = staged.frame.select(
            *(staged.frame[field.name].cast(field.dataType) for field in _schema(commit.schema).fields)
        ).coalesce(1 + _bytes(staged) // FILE_BYTES)
        options = {"txnAppId": commit.app_id, "txnVersion": "1", "userMetadata": commit.metadata}
        # Spark would put an append behind a commit it met; ours says what the table holds, so it must be refused.
        once = {"spark.databricks.delta.maxCommitAttempts": "0"}
        try:
            if DeltaTable(path).version() != commit.read_version:
                raise ConcurrentWriteError(f"{path.name}: version {commit.read_version} is no longer its head")
            with self._settings(once):
                typed.write.format("delta").mode("append").options(**options).save(_location(path))
        except ConcurrentWriteError:
            raise
        except Exception as error:
            # Delta's exceptions arrive as several Python classes, some without a message: the Java text decides.
            text = _java_text(error)
            if any(name in text for name in CONFLICTS):
                raise ConcurrentWriteError(f"{path.name}: another commit came first: {text[:300]}") from error
            why = "rows refused" if any(name in text for name in BROKEN_RULES) else "Spark could not append"
            raise TableError(f"{path.name}: {why}: {text[:600]}; nothing was written") from error
        return int(DeltaTable(path).version())

    def arrow(self, relation: Relation) -> pa.Table:
        """Return all rows."""
        return _own(relation).frame.toArrow()

    def stream(self, relation: Relation) -> Iterator[pa.RecordBatch]:
        """Stage, then read the files in order: only one batch is in the driver at a time."""
        staged = _own(self.stage(relation))
        schema = _arrow_schema(staged.frame.schema)
        for file in _files(staged):
            yield from ds.dataset(file, schema=schema, format="parquet").to_batches()

    def close(self) -> None:
        """Forget the views; the session stays, it may be shared."""
        for view in self._views:
            self._session.catalog.dropTempView(view)
        self._views.clear()
        self._scans.clear()

    def _read(self, path: Path, version: int) -> DataFrame:
        table = DeltaTable(path, version=version)
        guard(table)
        files = [str(Path(path, name)) for name in table.file_uris()]
        if table.metadata().partition_columns or len(files) > DIRECT_FILES:
            return self._session.read.format("delta").option("versionAsOf", version).load(_location(path))
        from pyspark.sql.types import StructType

        # Delta writes its schema as Spark does: the same text, with the same types.
        schema = StructType.fromJson(json.loads(table.schema().to_json()))
        if not files:
            # Rows in the plan, none of them: the optimiser drops whole branches of a query.
            return self._session.createDataFrame(_arrow_schema(schema).empty_table(), schema)
        return self._session.read.schema(schema).parquet(*(_location(Path(file)) for file in files))

    def _stage(self, frame: DataFrame) -> SparkRelation:
        folder = self._folder()
        frame.write.parquet(_location(folder, pattern=False))
        return self._staged(folder, frame.schema)

    def _staged(self, folder: Path, schema: StructType) -> SparkRelation:
        return self._register(self._session.read.schema(schema).parquet(_location(folder)), folder)

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


def _location(path: Path, *, pattern: bool = True) -> str:
    # With its scheme: on a cluster a bare path may mean HDFS. Readers of files take it for a pattern.
    text = re.sub(r"([\\\[\]{}*?])", r"\\\1", str(path)) if pattern else str(path)
    return f"file:{text}"


def _files(staged: SparkRelation) -> list[Path]:
    # The numbers in the names are the order of the partitions, hence of a sorted relation's rows.
    return [] if staged.folder is None else sorted(staged.folder.glob("*.parquet"))


def _bytes(staged: SparkRelation) -> int:
    return sum(file.stat().st_size for file in _files(staged))


def _schema(schema: pa.Schema) -> StructType:
    from pyspark.sql.pandas.types import from_arrow_schema

    converted: StructType = from_arrow_schema(schema.remove_metadata())
    return converted


def _arrow_schema(schema: StructType) -> pa.Schema:
    from pyspark.sql.pandas.types import to_arrow_schema

    return to_arrow_schema(schema, timezone="UTC")


def _java_text(error: BaseException) -> str:
    java = getattr(error, "java_exception", None) or getattr(error, "_origin", None)
    texts = [str(error)]
    while java is not None and len(texts) < 6:
        try:
            texts.append(str(java.toString()))
            java = java.getCause()
        except AttributeError:
            break
    return " | ".join(texts)
