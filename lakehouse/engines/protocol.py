"""What a step may ask of an engine. Ten verbs; no third engine, no planner of our own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import pyarrow as pa

Taken = TypeVar("Taken")

BatchFunction = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]
"""A pure function over batches, picklable: module-level, or a functools.partial of one (Spark's mapInArrow)."""


@dataclass(frozen=True, slots=True)
class Commit:
    """What is written beside the rows of one append.

    Attributes:
        app_id: Transaction id derived from the rows; the same rows are never committed twice.
        facts: Kept in the commit as JSON, beside hash and size of its files: digest, step, engine.
        schema: Arrow schema of the table; the rows are cast to it.
        read_version: Version the rows were compared with; the commit is meant to be the next one.
        check: Called right before the commit becomes visible; raises if the lock it stands under was lost.
    """

    app_id: str
    facts: Mapping[str, object]
    schema: pa.Schema
    read_version: int
    check: Callable[[], None] = lambda: None


@dataclass(frozen=True, slots=True)
class Expectation:
    """One expectation of rows.

    Attributes:
        place: Its number among those that are checked together.
        type: As Great Expectations names it: `expect_column_values_to_not_be_null` ...
        arguments: Its arguments by name: column, min_value ...
        where: File and place it was written in, for messages.
    """

    place: int
    type: str
    arguments: Mapping[str, object]
    where: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one expectation.

    Attributes:
        passed: Whether it held.
        observed: Of one about the whole: what was found, as JSON; '' of one about each row.
        rows: Rows it was asked of; None for one about the whole.
        failing_rows: Rows that broke it; None for one about the whole.
        examples: Some of the values that broke it, as JSON.
        problem: Why it could not be checked, '' if it could: it did not hold then.
    """

    passed: bool
    observed: str = ""
    rows: int | None = None
    failing_rows: int | None = None
    examples: tuple[str, ...] = ()
    problem: str = ""


class Relation(Protocol):
    """Rows somewhere in one engine: an immutable handle."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, in order."""


class Engine(Protocol):
    """One way of doing the work; both ways give the same rows."""

    @property
    def name(self) -> str:
        """`embedded` or `spark`."""

    def from_arrow(self, data: pa.Table) -> Relation:
        """Take rows that are in memory."""

    def scan(self, path: Path, version: int, *, since: int | None = None) -> Relation:
        """Read a Delta table at a version; lazy.

        Args:
            path: Folder of the table.
            version: Which version; it must exist.
            since: An earlier version: only files that it did not have are read. These hold all rows that came
                later; a compaction brings older ones again.
        """

    def sql(self, text: str, inputs: Mapping[str, Relation], params: Mapping[str, object]) -> Relation:
        """Run one query in DuckDB's dialect over named relations; lazy."""

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
        """Run `function` over all rows, spread over the workers, exactly once, now; the result is staged.

        Args:
            relation: Input rows.
            function: Gets batches of at most `rows_per_task` rows; may touch files.
            schema: Schema of the batches that `function` yields.
            rows_per_task: How many rows one call of the function gets at least worth starting for.
            label: What the progress bar says.
            reads_here: Whether `function` reads files of this machine, other than of the lake: workers that see
                nothing of it are not asked then.
        """

    def micro_batches(
        self, batches: Iterable[pa.Table], schema: pa.Schema, take: Callable[[Relation], Taken]
    ) -> Iterator[Taken]:
        """Hand over a stream batch by batch, and yield what `take` returns for each; on Spark a streaming query.

        The next batch is asked for once the one before was taken and its result was yielded.

        Args:
            batches: The stream; may never end.
            schema: Of every batch.
            take: Called once for each batch; what it raises ends the stream.
        """

    def stage(self, relation: Relation) -> Relation:
        """Compute a relation once and keep the result as long as somebody holds it, or what was made of it."""

    def append(self, path: Path, relation: Relation, commit: Commit) -> int:
        """Append rows to a Delta table in one commit and return the new version; `tables.insert` checked them.

        Raises:
            ConcurrentWriteError: If another commit got in between; nothing was written.
            TableError: If there is NULL where none may be, or writing fails; nothing was written.
        """

    def arrow(self, relation: Relation) -> pa.Table:
        """Return all rows; for results that fit in memory."""

    def stream(self, relation: Relation) -> Iterator[pa.RecordBatch]:
        """Return the rows batch by batch, in the relation's order."""

    def check(self, relation: Relation, expectations: Sequence[Expectation]) -> list[Outcome]:
        """Check expectations over all rows, each in its place.

        Raises:
            ConfigError: If there is no such expectation, or it takes other arguments.
            EnvironmentProblemError: If Great Expectations is not installed.
        """

    def close(self) -> None:
        """Release processes, connections and staged results."""
