"""What is read, and how: one user's program for both libraries, and the pools that the old one is tried with.

| workload | set   | as its users write it                                        |
|----------|-------|--------------------------------------------------------------|
| rows     | rows  | `DataLoader(make_reader(url), batch_size=64)`                |
| reader   | rows  | `for row in make_reader(url)`                                |
| batches  | table | `for batch in make_batch_reader(url)`                        |
| jpeg     | jpeg  | `DataLoader(make_reader(url), batch_size=64)`                |
| png      | png   | `DataLoader(make_reader(url), batch_size=64)`                |
| table    | table | `BatchedDataLoader(make_batch_reader(url), batch_size=1024)` |
| shuffled | table | the same with `shuffling_queue_capacity=100_000`             |
| ten      | ten   | `BatchedDataLoader(make_batch_reader(url), batch_size=1024)` |

`table` is what Petastorm does best: large row groups, each cut into views. Uncompressed Parquet cannot be read
five times as fast as that (see README.md), so its line is there to be honest and not to be met.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Workload:
    """One program.

    Attributes:
        name: As on the command line.
        set: The dataset it reads.
        make: `make_reader` or `make_batch_reader`.
        loader: The class of `pytorch` that makes batches; "": rows are taken from the reader.
        batch: Rows of a batch.
        times: How many times as fast Petrel is to be; 0: nothing is asked.
        queue: Rows of the loader's shuffling queue; 0: none.
    """

    name: str
    set: str
    make: str
    loader: str
    batch: int
    times: float
    queue: int = 0

    @property
    def loader_arguments(self) -> dict[str, int]:
        """What the loader gets."""
        return {"batch_size": self.batch, **({"shuffling_queue_capacity": self.queue} if self.queue else {})}


WORKLOADS = {
    each.name: each
    for each in (
        Workload("rows", "rows", "make_reader", "DataLoader", 64, 4),
        Workload("reader", "rows", "make_reader", "", 1, 0),
        Workload("batches", "table", "make_batch_reader", "", 1, 0),
        Workload("jpeg", "jpeg", "make_reader", "DataLoader", 64, 4),
        Workload("png", "png", "make_reader", "DataLoader", 64, 4),
        Workload("table", "table", "make_batch_reader", "BatchedDataLoader", 1024, 5),
        Workload("shuffled", "table", "make_batch_reader", "BatchedDataLoader", 1024, 5, queue=100_000),
        Workload("ten", "ten", "make_batch_reader", "BatchedDataLoader", 1024, 5),
    )
}

SHARE = 1 / 4
"""Part of Petastorm's memory and of its time to the first batch that Petrel may take."""

MODULES = {"petrel": "loaders.petastorm", "petastorm": "petastorm"}
"""What is imported: the only difference between the two programs."""


@dataclass(frozen=True, slots=True)
class Setting:
    """How a library is told to work.

    Attributes:
        peer: `petrel` or `petastorm`.
        pool: `thread`, `process` or `dummy`; "": as it comes (threads, 10 workers).
        workers: Of the pool; 0 for none.
    """

    peer: str
    pool: str = ""
    workers: int = 0

    @property
    def name(self) -> str:
        """As on the command line and in the tables: `thread-2`, `dummy`, `default`."""
        return f"{self.pool}-{self.workers}" if self.workers else self.pool or "default"

    @property
    def arguments(self) -> dict[str, Any]:
        """What the readers get."""
        pool = {"reader_pool_type": self.pool} if self.pool else {}
        return {**pool, **({"workers_count": self.workers} if self.workers else {})}


OURS = Setting("petrel")
THEIRS = {
    each.name: each
    for each in (
        Setting("petastorm", "dummy"),
        *(Setting("petastorm", pool, workers) for pool in ("thread", "process") for workers in (1, 2, 4, 10)),
    )
}
