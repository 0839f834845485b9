"""Make batches in worker processes that share the arena and the memory of the batches with this one."""

from __future__ import annotations

import gc
import time
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import pyarrow as pa

from loaders.axes import Array, Octets
from loaders.decoding.decoders import AnyDecoder
from loaders.decoding.values import python_values
from loaders.engine.batches import Assembler, Transform
from loaders.engine.jobs import Failure, Job, Made
from loaders.engine.objects import Objects
from loaders.engine.slots import Lease
from loaders.engine.wire import Writer, restored
from loaders.errors import TransformError
from loaders.format.fields import Field
from loaders.options import ReadOptions
from loaders.reading.arena import ArenaShape, make_arena
from loaders.reading.pages import row_reader
from loaders.stores.local import LocalFiles
from loaders.stores.storage import StorageOptions
from loaders.workers.messages import Json
from loaders.workers.pool import ProcessPool
from loaders.workers.shared import Shared
from loaders.workers.threads import result_or_closed
from loaders.workers.worker import Handle


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """What a worker process needs to know; the memory comes beside it.

    Attributes:
        arena: Layout of the shared arena.
        decoders, options, transform, gives_seeds: As for `Assembler`.
        folder: The split, for columns that are read straight from its files.
        output_bytes: Memory that assembling takes, at the beginning of a slot.
        room_bytes: Size of a slot.
        objects: As for `Assembler`.
    """

    arena: ArenaShape
    decoders: Mapping[str, AnyDecoder]
    options: ReadOptions
    transform: Transform | None
    gives_seeds: bool
    folder: str
    output_bytes: int
    room_bytes: int
    objects: Objects


class Remote:
    """Has jobs done by worker processes."""

    def __init__(self, spec: WorkerSpec, *, arena: Shared, chunks: int) -> None:
        """Start the processes.

        Args:
            spec: What they do.
            arena: The memory of the arena.
            chunks: Jobs that may be under way, or done and not delivered.

        Raises:
            FormatError: If the transform cannot be sent to another process.
        """
        self._spec = spec
        shared = [Shared(max(64, spec.room_bytes), populate=spec.transform is None) for _ in range(chunks + 2)]
        self._free = deque(each.array for each in shared)
        self._numbers = {memory.__array_interface__["data"][0]: at for at, memory in enumerate(self._free)}
        options = replace(spec.options, allocate=None, storage=StorageOptions())
        self._pool = ProcessPool(
            options.threads,
            build_worker,
            replace(spec, options=options),
            shared=[arena, *shared],
            deadline_s=options.deadline_s,
            address_space_bytes=options.worker_memory_bytes,
        )
        for each in shared:
            each.close()

    def assemble(self, job: Job) -> Made:
        """Have a job done; waits for it."""
        texts = {column.name: column.field for column in self._spec.arena.columns if column.name in job.others}
        told, payload = _told(job, texts)
        memory = self._take()
        told["slot"] = self._numbers[memory.__array_interface__["data"][0]]
        what = f"making batch {job.step} of epoch {job.epoch}"
        try:
            answer, overflow = result_or_closed(self._pool.submit(what, told, payload), self._pool.closed)
        except BaseException:
            self.give_back(memory)  # now: a traceback that somebody keeps would keep a lease
            raise
        whole = np.asarray(Lease(memory, self))
        if not self._free:  # the caller keeps many batches: give it these for good, and go on with the memory
            whole = whole[: answer["used"]].copy()
        batches = restored(answer["batches"], whole, overflow)
        failures = [Failure(*each) for each in answer["failures"]]
        return Made(batches, failures, answer["decode_s"], answer["transform_s"], 0.0, *answer["objects"])

    def activity(self) -> list[str]:
        """Return what each busy worker is doing."""
        return self._pool.activity()

    def close(self, *, patience_s: float) -> None:
        """End the processes."""
        self._pool.close(patience_s=patience_s)

    def give_back(self, memory: Octets) -> None:
        """Take memory back; called by its lease."""
        self._free.append(memory)

    def _take(self) -> Octets:
        while not self._pool.closed.is_set():
            try:
                return self._free.popleft()
            except IndexError:  # all are with jobs under way, or about to be copied by one that is done
                time.sleep(0.002)
        raise CancelledError


def build_worker(spec: WorkerSpec, arrays: tuple[Octets, ...]) -> Handle:
    """Return what a worker process does with a job; called once in each."""
    _calm_opencv()
    assembler = Assembler(
        make_arena(spec.arena, lambda _: arrays[0]), decoders=spec.decoders, options=spec.options,
        transform=spec.transform, gives_seeds=spec.gives_seeds, read_row=row_reader(LocalFiles(spec.folder)),
        objects=spec.objects,
    )  # fmt: skip
    fields = {column.name: column.field for column in spec.arena.columns}

    def handle(told: dict[str, Json], payload: bytes) -> tuple[Json, bytes]:
        watch = _Watch()
        answer = work(told, payload, np.asarray(Lease(arrays[1 + told["slot"]], watch)))
        if not watch.is_over:
            gc.collect()  # arrays in a cycle are kept by nobody
        if not watch.is_over:
            raise TransformError(
                "the transform keeps an array of its batch; with pool='processes' the next batches are made in that "
                "memory: keep a copy"
            )
        return answer

    def work(told: dict[str, Json], payload: bytes, memory: Octets) -> tuple[Json, bytes]:
        made = assembler.assemble(_job(told, payload, fields), memory)
        writer = Writer(memory, spec.output_bytes)
        answer = {
            "batches": writer.describe(made.batches),
            "used": writer.used,
            "failures": [[each.row, each.within, each.column, each.reason, each.is_damage] for each in made.failures],
            "decode_s": made.decode_s,
            "transform_s": made.transform_s,
            "objects": [made.objects, made.objects_dropped],
        }
        return answer, b"".join(writer.overflow)

    return handle


class _Watch:
    """Notes when the last array over the memory of a batch is gone."""

    is_over = False

    def give_back(self, memory: Octets) -> None:
        """Called by the lease of that memory."""
        self.is_over = True


def _told(job: Job, texts: Mapping[str, Field]) -> tuple[dict[str, Json], bytes]:
    """Return a job as JSON and bytes: its arrays, then text, lists and maps as an Arrow stream."""
    arrays = {"index": job.index, "pad": job.pad, "seeds": job.seeds, "splits": job.splits}
    parts = [np.ascontiguousarray(array).tobytes() for array in arrays.values() if array is not None]
    told = {
        "epoch": job.epoch,
        "step": job.step,
        "ends": list(job.ends),
        "length": job.length,
        "arrays": [[name, array.dtype.str, len(array)] for name, array in arrays.items() if array is not None],
        "direct": {name: list(places) for name, places in job.direct.items()},
    }
    if texts:
        table = pa.table({name: _arrow(job.others[name], field) for name, field in texts.items()})
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
        parts.append(sink.getvalue().to_pybytes())
    return told, b"".join(parts)


def _arrow(values: Sequence[object], field: Field) -> pa.Array:
    if pa.types.is_map(field.type):
        maps = cast("Sequence[Mapping[str, object] | None]", values)
        return pa.array([None if value is None else list(value.items()) for value in maps], field.type)
    return pa.array(values, field.type)


def _job(told: dict[str, Json], payload: bytes, fields: Mapping[str, Field]) -> Job:
    arrays: dict[str, Array] = {}
    at = 0
    for name, dtype, count in told["arrays"]:
        arrays[name] = np.frombuffer(payload, dtype=dtype, count=count, offset=at)
        at += arrays[name].nbytes
    others: dict[str, list[object]] = {}
    if at < len(payload):
        with pa.ipc.open_stream(pa.py_buffer(payload)[at:]) as stream:
            table = stream.read_all().combine_chunks()
        others = {
            name: python_values(table.column(name).combine_chunks(), fields[name]) for name in table.column_names
        }
    direct = {name: [tuple(place) for place in places] for name, places in told["direct"].items()}
    return Job(
        told["epoch"], told["step"], tuple(told["ends"]), arrays["index"], told["length"], arrays.get("pad"),
        arrays.get("seeds"), direct, others, arrays.get("splits"),
    )  # fmt: skip


def _calm_opencv() -> None:
    """Processes are the parallelism: OpenCV must not start threads of its own in each."""
    try:
        import cv2
    except ImportError:
        return
    cv2.setNumThreads(0)
