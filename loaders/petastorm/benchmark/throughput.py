"""Measure how many rows a second a reader gives, and what it takes."""

from __future__ import annotations

import enum
import itertools
import logging
import os
import resource
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from loaders.petastorm.kinds import Settings
from loaders.petastorm.reader import Reader, make_reader
from loaders.petastorm.shipping import Shipped
from loaders.workers.pool import ProcessPool
from loaders.workers.worker import Handle

__all__ = ["BenchmarkResult", "MemoryInfo", "ReadMethod", "WorkerPoolType", "reader_throughput"]

logger = logging.getLogger(__name__)

_LONGEST_S = 24 * 3600.0
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class WorkerPoolType(enum.Enum):
    """Who does the work."""

    THREAD = "thread"
    PROCESS = "process"
    NONE = "dummy"

    def __str__(self) -> str:
        return self.value


class ReadMethod(enum.Enum):
    """What rows are taken from: the reader itself, or batches of tensors. Petastorm's `tf` is not there."""

    PYTHON = "python"
    TORCH = "torch"

    def __str__(self) -> str:
        return self.value


class MemoryInfo(NamedTuple):
    """Memory of the process that reads, in bytes; worker processes are not in it.

    Attributes:
        rss: In use now.
        vms: Mapped now.
        peak_rss: Most that was in use.
    """

    rss: int
    vms: int
    peak_rss: int


class BenchmarkResult(NamedTuple):
    """What was measured.

    Attributes:
        time_mean: Seconds for one row.
        samples_per_second: Rows in one second.
        memory_info: Memory at the end.
        cpu: Percent of one core that the process that reads took, as 130.0.
    """

    time_mean: float
    samples_per_second: float
    memory_info: MemoryInfo
    cpu: float


def reader_throughput(
    dataset_url: str | Path | list[str],
    field_regex: Sequence[str] | None = None,
    warmup_cycles_count: int = 300,
    measure_cycles_count: int = 1000,
    pool_type: WorkerPoolType = WorkerPoolType.THREAD,
    loaders_count: int = 3,
    profile_threads: bool = False,
    read_method: ReadMethod = ReadMethod.PYTHON,
    shuffling_queue_size: int = 500,
    min_after_dequeue: float = 400,
    reader_extra_args: Settings | None = None,
    spawn_new_process: bool = True,
    *,
    batch_size: int = 64,
) -> BenchmarkResult:
    """Read a dataset over and over with `make_reader`, and measure a part of it.

    Args:
        dataset_url: As of `make_reader`.
        field_regex: Regular expressions of whole names; fields that match one are read. None reads all.
        warmup_cycles_count: Rows that are read before.
        measure_cycles_count: Rows, at least, that are measured.
        pool_type: Threads, processes, or neither.
        loaders_count: How many of them.
        profile_threads: Accepted, without effect: `py-spy` sees the threads.
        read_method: Rows of the reader, or batches of a `DataLoader`.
        shuffling_queue_size: Rows of its shuffling queue.
        min_after_dequeue: Accepted, without effect: it was of TensorFlow's queue.
        reader_extra_args: Other arguments of `make_reader`.
        spawn_new_process: Measure in a process of its own, in which nothing else takes memory.
        batch_size: Rows of a batch of the `DataLoader`.

    Raises:
        ValueError: If there are no rows, none are to be measured, or the read method is another.
        Exception: As `make_reader`.
    """
    method = ReadMethod(read_method)
    if measure_cycles_count < 1 or warmup_cycles_count < 0:
        raise ValueError(f"there is nothing to measure in {measure_cycles_count} rows after {warmup_cycles_count}")
    reading = {
        "schema_fields": list(field_regex) if field_regex else None, **(reader_extra_args or {}), "num_epochs": None,
        "reader_pool_type": str(WorkerPoolType(pool_type)), "workers_count": loaders_count,
    }  # fmt: skip
    queue = (batch_size, shuffling_queue_size) if method is ReadMethod.TORCH else None
    arguments = (dataset_url, reading, queue, warmup_cycles_count, measure_cycles_count)
    if not spawn_new_process:
        return _measured(*arguments)
    pool = ProcessPool(1, _measurer, Shipped(arguments), deadline_s=_LONGEST_S, name="petrel-throughput")
    try:
        (mean, rate, memory, cpu), _ = pool.submit(f"reading {dataset_url}").result()
    finally:
        pool.close()
    return BenchmarkResult(mean, rate, MemoryInfo(*memory), cpu)


def _measurer(shipped: Shipped[Any], _: tuple[object, ...]) -> Handle:
    """Return what the process does with its one job."""
    return lambda _job, _payload: (_measured(*shipped.value), b"")


def _measured(
    url: str | Path | list[str], reading: Settings, queue: tuple[int, int] | None, before: int, rows: int
) -> BenchmarkResult:
    with make_reader(url, **reading) as reader:
        counts = _counts(reader, queue)
        _read(counts, before)
        logger.info("warm rows=%d", before)
        cpu, begun = time.process_time(), time.perf_counter()
        found = _read(counts, rows)
        took = time.perf_counter() - begun
        cpu = time.process_time() - cpu
        result = BenchmarkResult(took / found, found / took, _memory(), 100 * cpu / took)
        logger.info("measured rows=%d seconds=%.3f diagnostics=%s", found, took, reader.diagnostics)
    return result


def _counts(reader: Reader, queue: tuple[int, int] | None) -> Iterator[int]:
    """Read, and yield how many rows came."""
    if queue is None:
        return (1 for _ in reader)
    from loaders.petastorm.pytorch import DataLoader  # rows are measured where there is no torch

    loader = DataLoader(reader, batch_size=queue[0], shuffling_queue_capacity=queue[1])
    return (len(next(iter(batch.values()))) for batch in loader)


def _read(counts: Iterator[int], rows: int) -> int:
    """Read that many rows, or some more, and return how many."""
    found = 0
    while found < rows:
        more = next(counts, None)
        if more is None:
            raise ValueError("there are no rows to measure")
        found += more
    return found


def _memory() -> MemoryInfo:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    try:
        mapped, resident = map(int, itertools.islice(Path("/proc/self/statm").read_text().split(), 2))
    except OSError:  # not Linux
        return MemoryInfo(peak, peak, peak)
    rss = resident * _PAGE_BYTES
    return MemoryInfo(rss, mapped * _PAGE_BYTES, max(rss, peak))
