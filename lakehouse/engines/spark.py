"""The Spark engine: DataFrames, mapInArrow and delta-spark; a laptop or a cluster without a change."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.dataset as ds
from deltalake import DeltaTable

from lakehouse.engines.protocol import BatchFunction, Commit, Relation
from lakehouse.errors import ConcurrentWriteError, TableError
from lakehouse.sql.dialect import bind

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

CONFLICTS = ("ConcurrentAppendException", "ProtocolChangedException", "MetadataChangedException",
             "ConcurrentWriteException", "FileAlreadyExistsException")


@dataclass(frozen=True, slots=True)
class SparkRelation:
    """A DataFrame, registered as a temporary view."""

    view: str
    frame: DataFrame

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        return tuple(self.frame.columns)


class SparkEngine:
    """See `lakehouse.engines.protocol.Engine`. Uses the running session, or starts one."""

    name = "spark"

    def __init__(self, *, scratch: Path) -> None:
        from lakehouse.sparkconf import build_session

        self._session: SparkSession = build_session("petrel")
        self._scratch = scratch
        self._prefix = f"petrel_{id(self):x}_"
        self._numbers = itertools.count()
        self._views: list[str] = []
        self._scans: dict[tuple[Path, int], Relation] = {}
        scratch.mkdir(parents=True, exist_ok=True)

    def from_arrow(self, data: pa.Table) -> Relation:
        """Take rows that are in memory, by way of a file: rows inside the plan would travel with every task."""
        path = self._path()
        ds.write_dataset(data, path, format="parquet")
        return self._register(self._session.read.schema(self._schema(data.schema)).parquet(str(path)))

    def scan(self, path: Path, version: int) -> Relation:
        """Read a Delta table at a version."""
        if (path, version) not in self._scans:
            frame = self._session.read.format("delta").option("versionAsOf", version).load(str(path))
            self._scans[path, version] = self._register(frame)
        return self._scans[path, version]

    def sql(self, text: str, inputs: Mapping[str, Relation], params: Mapping[str, object]) -> Relation:
        """Plan one query over named relations."""
        names = {name: _own(relation).view for name, relation in inputs.items()}
        return self._register(self._session.sql(bind(text, names, params, dialect="spark")))

    def map_batches(
        self, relation: Relation, function: BatchFunction, schema: pa.Schema, *, rows_per_task: int, label: str
    ) -> Relation:
        """Run the function in Python workers by mapInArrow and stage what it yields."""
        frame = _own(relation).frame
        tasks = 2 * self._session.sparkContext.defaultParallelism
        self._session.sparkContext.setJobDescription(label)
        self._session.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", str(rows_per_task))
        # Few rows a batch, so that a task holds few decoded images; spread first, rows may come in one file.
        spread = frame.repartition(tasks)
        return self._stage(spread.mapInArrow(function, self._schema(schema)))

    def stage(self, relation: Relation) -> Relation:
        """Compute once into Parquet files in the scratch folder."""
        return self._stage(_own(relation).frame)

    def append(self, path: Path, relation: Relation, commit: Commit) -> int:
        """Append through delta-spark, which checks NOT NULL and CHECK constraints."""
        frame = _own(relation).frame
        typed = frame.select(
            *(frame[field.name].cast(field.dataType) for field in self._schema(commit.schema).fields)
        )
        writer = typed.write.format("delta").mode("append")
        options = {"txnAppId": commit.app_id, "txnVersion": "1", "userMetadata": commit.metadata}
        try:
            writer.options(**options).save(str(path))
        except Exception as error:
            # Delta's exceptions arrive as several Python classes, some without a message: the Java text decides.
            text = _java_text(error)
            if any(name in text for name in CONFLICTS):
                raise ConcurrentWriteError(f"{path.name}: another commit came first: {text[:300]}") from error
            raise TableError(f"{path.name}: rows refused: {text[:600]}; nothing was written") from error
        return int(DeltaTable(path).version())

    def arrow(self, relation: Relation) -> pa.Table:
        """Return all rows."""
        return _own(relation).frame.toArrow()

    def stream(self, relation: Relation) -> Iterator[pa.RecordBatch]:
        """Stage, then read the files in order: only one batch is in the driver at a time."""
        staged = _own(self._stage(_own(relation).frame))
        schema = self._arrow_schema(staged.frame)
        for file in sorted(Path(name.removeprefix("file:")) for name in staged.frame.inputFiles()):
            yield from ds.dataset(file, schema=schema, format="parquet").to_batches()

    def close(self) -> None:
        """Forget the views; the session stays, it may be shared."""
        for view in self._views:
            self._session.catalog.dropTempView(view)
        self._views.clear()

    def _stage(self, frame: DataFrame) -> Relation:
        path = str(self._path())
        schema = frame.schema
        frame.write.parquet(path)
        return self._register(self._session.read.schema(schema).parquet(path))

    def _path(self) -> Path:
        return self._scratch / f"stage-{next(self._numbers)}"

    def _register(self, frame: DataFrame) -> SparkRelation:
        view = f"{self._prefix}{next(self._numbers)}"
        frame.createOrReplaceTempView(view)
        self._views.append(view)
        return SparkRelation(view, frame)

    def _schema(self, schema: pa.Schema) -> Any:
        from pyspark.sql.pandas.types import from_arrow_schema

        return from_arrow_schema(schema.remove_metadata())

    def _arrow_schema(self, frame: DataFrame) -> pa.Schema:
        from pyspark.sql.pandas.types import to_arrow_schema

        return to_arrow_schema(frame.schema, timestamp_utc=True)


def _own(relation: Relation) -> SparkRelation:
    if not isinstance(relation, SparkRelation):
        raise TypeError(f"a relation of another engine came to Spark: {type(relation).__name__}")
    return relation


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
