"""How fast it could be: the bare work, nothing transferred, nothing scheduled. Ratios refer to `pipe` and `tgather`.

pipe      decode, crop and resize in 2 processes, each into a reused batch of its own
tpipe     the same in 2 threads
c_full    decode alone in 2 processes (libjpeg-turbo through simplejpeg)
tgather   torch.index_select of random rows from memory into a reused batch, in 1 or 2 processes
pq_none   uncompressed Parquet of plain encoding, read row group by row group (4 or 32 MB), bytes dropped
"""

from __future__ import annotations

import multiprocessing
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.loaders.workloads import COLUMNS, Data

Part = Callable[[], int]
"""One pass over a worker's share; returns the samples."""


def prepare(data: Data, folder: Path) -> None:
    """Write the Parquet files of `pq_none`."""
    import pyarrow.parquet as pq

    if data.workload.kind == "photos":
        return
    array = data.array
    for megabytes in (4, 32):
        rows = max(1, (megabytes << 20) * len(array) // array.nbytes)
        writer = None
        for start in range(0, len(array), rows):
            table = _arrow(array[start : start + rows], data.workload.kind)
            if writer is None:
                writer = pq.ParquetWriter(folder / f"{megabytes}.parquet", table.schema, compression="none",
                                          use_dictionary=False, write_statistics=False)  # fmt: skip
            writer.write_table(table, row_group_size=rows)
        if writer is not None:
            writer.close()


def _arrow(rows: np.ndarray[Any, Any], kind: str) -> Any:
    import pyarrow as pa

    if kind == "table":
        return pa.table({name: np.ascontiguousarray(rows[:, index]) for index, name in enumerate(COLUMNS)})
    width = rows[0].nbytes
    buffers = [None, pa.py_buffer(np.ascontiguousarray(rows))]
    return pa.table({"x": pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), len(rows), buffers)})


def run(name: str, data: Data, folder: Path, *, workers: int, seconds: float) -> dict[str, float]:
    """Measure one limit: all workers warm up with one pass, then make whole passes for at least `seconds`.

    Returns:
        samples, processor seconds of all workers, and the seconds that fit the sum of the workers' rates.
    """

    def make(worker: int) -> Part:
        if name == "tgather":
            return _gather_part(data, worker, workers)
        if name.startswith("pq_none"):
            return _parquet_part(folder / f"{name.removeprefix('pq_none')}.parquet", worker, workers)
        return _photo_part(data, worker, workers, decode_only=name == "c_full")

    done = (_in_threads if name == "tpipe" else _in_processes)(make, workers, seconds)
    samples = sum(samples for samples, _, _ in done)
    rate = sum(samples / wall for samples, wall, _ in done)
    return {"samples": samples, "seconds": samples / rate, "cpu_s": sum(cpu for _, _, cpu in done)}


def _photo_part(data: Data, worker: int, workers: int, *, decode_only: bool) -> Part:
    import simplejpeg

    from benchmarks.loaders.transform import decode_and_crop

    generator = random.Random(worker)
    ids = list(range(data.workload.rows))
    random.Random(0).shuffle(ids)
    ids = ids[worker::workers]
    out = np.zeros((data.workload.batch, *data.workload.shape), np.uint8)

    def part() -> int:
        for place, index in enumerate(ids):
            jpeg = data.photo(index)
            if decode_only:
                simplejpeg.decode_jpeg(jpeg, colorspace="RGB")
            else:
                decode_and_crop(jpeg, generator, out[place % len(out)])
        return len(ids)

    return part


def _gather_part(data: Data, worker: int, workers: int) -> Part:
    import torch

    torch.set_num_threads(1)
    source = torch.from_numpy(np.array(data.array))
    batch = data.workload.batch
    order = torch.randperm(len(source), generator=torch.Generator().manual_seed(0))
    batches = list(order.split(batch))[worker::workers]
    out = torch.zeros((batch, *data.workload.shape), dtype=source.dtype)

    def part() -> int:
        for rows in batches:
            torch.index_select(source, 0, rows, out=out[: len(rows)])
        return sum(map(len, batches))

    return part


def _parquet_part(path: Path, worker: int, workers: int) -> Part:
    import pyarrow.parquet as pq

    file = pq.ParquetFile(path, memory_map=True)
    groups = range(worker, file.num_row_groups, workers)

    def part() -> int:
        return sum(file.read_row_group(group, use_threads=False).num_rows for group in groups)

    return part


def _timed(part: Part, seconds: float, ready: Callable[[], object]) -> tuple[float, float, float]:
    """Return samples, wall and processor seconds of whole passes, after one to warm up."""
    part()
    ready()
    cpu, started, samples = time.thread_time(), time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        samples += part()
    return samples, time.perf_counter() - started, time.thread_time() - cpu


def _in_threads(make: Callable[[int], Part], workers: int, seconds: float) -> list[tuple[float, float, float]]:
    barrier = threading.Barrier(workers)
    with ThreadPoolExecutor(workers) as pool:
        jobs = [pool.submit(lambda part: _timed(part, seconds, barrier.wait), make(each)) for each in range(workers)]
        return [job.result() for job in jobs]


def _in_processes(make: Callable[[int], Part], workers: int, seconds: float) -> list[tuple[float, float, float]]:
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(workers), context.SimpleQueue()

    def work(worker: int) -> None:
        results.put(_timed(make(worker), seconds, barrier.wait))

    processes = [context.Process(target=work, args=(worker,), daemon=True) for worker in range(workers)]
    for process in processes:
        process.start()
    done = [results.get() for _ in processes]
    for process in processes:
        process.join()
    return done
