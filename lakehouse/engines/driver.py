"""The Spark engine with small relations on the driver: what is a few megabytes is no work for a cluster.

A job of Spark costs 0.1 to 1 s however little it does, and a step was dozens of them. So rows that fit are kept and
asked where the embedded engine keeps them, in DuckDB and Arrow on the driver; what does not fit is for Spark. A
relation goes over to Spark when it meets one of Spark's, or when its inputs together are too large; it comes back
when what was computed turns out to be small. The two sides give the same rows: that is what engines are tested for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable

from lakehouse.engines.delta_files import files_of
from lakehouse.engines.protocol import BatchFunction, Commit, Engine, Expectation, Outcome, Relation, Taken

MAP_ROWS = 4096
"""Rows up to which functions run in processes beside the driver; more are spread over the cluster, as each row may be
a photo to decode. On one machine both are the same cores: 1,800 tiny pictures took mapInArrow 5.6 s, these 0.9 s."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A relation and where it is.

    Attributes:
        inner: The relation of that side's engine.
        size: On the driver: bytes of the data that it was made of, at most about; None for one of Spark's.
    """

    inner: Relation
    size: int | None

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        return self.inner.columns


class DriverFirstEngine:
    """See `lakehouse.engines.protocol.Engine`."""

    name = "spark"

    def __init__(self, driver: Engine, cluster: Engine, *, limit: int, is_far: bool = False) -> None:
        """Put two engines together.

        Args:
            driver: Works on this machine.
            cluster: Works anywhere.
            limit: Bytes up to which the inputs of a query are worked on by `driver`.
            is_far: Whether the workers of `cluster` see nothing of this machine, nor this machine all of the tables.
        """
        self._driver = driver
        self._cluster = cluster
        self._limit = limit
        self._is_far = is_far
        self._scans: dict[tuple[Path, int, int | None], Placed] = {}
        self._moved: dict[int, tuple[Placed, Relation]] = {}

    def from_arrow(self, data: pa.Table) -> Relation:
        """Take rows that are in memory."""
        if data.nbytes <= self._limit:
            return Placed(self._driver.from_arrow(data), data.nbytes)
        return Placed(self._cluster.from_arrow(data), None)

    def scan(self, path: Path, version: int, *, since: int | None = None) -> Relation:
        """Read a Delta table at a version, by the side that its files are small enough for."""
        if (path, version, since) not in self._scans:
            known = {} if since is None else files_of(DeltaTable(path, version=since))
            found = files_of(DeltaTable(path, version=version))
            wanted = {name: size for name, size in found.items() if name not in known}
            size = sum(wanted.values())
            small = size <= self._limit
            if small and self._is_far:  # of a large table this machine has what it fetched before it grew
                small = all((path / name).exists() for name in wanted)
            inner = (self._driver if small else self._cluster).scan(path, version, since=since)
            self._scans[path, version, since] = Placed(inner, size if small else None)
        return self._scans[path, version, since]

    def sql(self, text: str, inputs: Mapping[str, Relation], params: Mapping[str, object]) -> Relation:
        """Plan one query over named relations, on the driver if all of them are there and small together."""
        placed = {name: _own(relation) for name, relation in inputs.items()}
        sizes = [each.size for each in placed.values() if each.size is not None]
        if len(sizes) == len(placed) and sum(sizes) <= self._limit:
            inner = {name: each.inner for name, each in placed.items()}
            return Placed(self._driver.sql(text, inner, params), sum(sizes))
        moved = {name: self._on_cluster(each) for name, each in placed.items()}
        return Placed(self._cluster.sql(text, moved, params), None)

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
        """Run the function over all rows, beside the driver if they are few or if only the driver can."""
        own = _own(self.stage(relation))
        if reads_here and self._is_far:
            rows = self.arrow(own)
            here = self._driver.from_arrow(rows)
            mapped = self._driver.map_batches(here, function, schema, rows_per_task=rows_per_task, label=label)
            return Placed(mapped, rows.nbytes)
        few = own.size is not None and self._rows(own) <= MAP_ROWS
        engine, rows = (self._driver, own.inner) if few else (self._cluster, self._on_cluster(own))
        mapped = engine.map_batches(rows, function, schema, rows_per_task=rows_per_task, label=label)
        return Placed(mapped, own.size) if few else self._nearer(mapped)

    def micro_batches(
        self, batches: Iterable[pa.Table], schema: pa.Schema, take: Callable[[Relation], Taken]
    ) -> Iterator[Taken]:
        """Have Spark hand over batch by batch, to the driver where they are small."""
        return self._cluster.micro_batches(batches, schema, lambda batch: take(self._nearer(batch)))

    def stage(self, relation: Relation) -> Relation:
        """Compute a relation once and keep the result, on the driver where that is small."""
        own = _own(relation)
        if own.size is not None:
            return Placed(self._driver.stage(own.inner), own.size)
        return self._nearer(self._cluster.stage(own.inner))

    def append(self, path: Path, relation: Relation, commit: Commit) -> int:
        """Append by the one committer."""
        own = _own(relation)
        return self._side(own).append(path, own.inner, commit)

    def arrow(self, relation: Relation) -> pa.Table:
        """Return all rows."""
        own = _own(relation)
        return self._side(own).arrow(own.inner)

    def stream(self, relation: Relation) -> Iterator[pa.RecordBatch]:
        """Return the rows batch by batch, in the relation's order."""
        own = _own(relation)
        return self._side(own).stream(own.inner)

    def check(self, relation: Relation, expectations: Sequence[Expectation]) -> list[Outcome]:
        """Check expectations over all rows."""
        own = _own(relation)
        return self._side(own).check(own.inner, expectations)

    def close(self) -> None:
        """Close both sides."""
        self._scans.clear()
        self._moved.clear()
        self._driver.close()
        self._cluster.close()

    def _side(self, own: Placed) -> Engine:
        return self._cluster if own.size is None else self._driver

    def _rows(self, own: Placed) -> int:
        counted = self._driver.arrow(self._driver.sql("select count(*) as n from t", {"t": own.inner}, {}))
        return int(counted["n"][0].as_py())

    def _on_cluster(self, own: Placed) -> Relation:
        if own.size is None:
            return own.inner
        # Kept with its relation: an id alone could be given to another one.
        if id(own.inner) not in self._moved:
            self._moved[id(own.inner)] = own, self._cluster.from_arrow(self._driver.arrow(own.inner))
        return self._moved[id(own.inner)][1]

    def _nearer(self, staged: Relation) -> Placed:
        size = 0
        batches = []
        for batch in self._cluster.stream(staged):
            size += batch.nbytes
            if size > self._limit:
                return Placed(staged, None)
            batches.append(batch)
        rows = pa.Table.from_batches(batches) if batches else self._cluster.arrow(staged)
        return Placed(self._driver.from_arrow(rows), size)


def _own(relation: Relation) -> Placed:
    if not isinstance(relation, Placed):
        raise TypeError(f"a relation of another engine came to Spark's: {type(relation).__name__}")
    return relation
