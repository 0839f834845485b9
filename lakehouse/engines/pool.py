"""A bounded pool of processes for functions over Arrow batches.

Processes come from a fork server, which has no threads: forking a process that has some (DuckDB, delta-rs) can hang.
A worker watches the process that works with it and ends when that one does, however it ended.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import multiprocessing.forkserver
import multiprocessing.resource_tracker
import os
import signal
import sys
import threading
import types
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.context import ForkServerContext, ForkServerProcess
from multiprocessing.process import BaseProcess
from typing import Any

import pyarrow as pa

from lakehouse.ending import signals_held
from lakehouse.engines.protocol import BatchFunction
from lakehouse.errors import IngestError

PRELOAD = (
    "lakehouse.engines.pool", "lakehouse.ingestion.store", "lakehouse.ingestion.entities",
    "lakehouse.dimensions.extract", "lakehouse.opinions.reading.answer_rows", "lakehouse.opinions.writing.rows",
    # pyarrow looks for pandas at its first conversion: 0.35 s, here once instead of in every worker. May be missing.
    "pandas",
)
PR_SET_PDEATHSIG = 1
M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
KEPT_BYTES = 128 << 20
"""Free memory that a worker keeps at most: several decoded photos with their intermediate arrays."""


def usable_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0))


class BatchPool:
    """Maps a batch function over batches in several processes, results in input order."""

    def __init__(self, workers: int) -> None:
        """Prepare for that many processes; 0 means one per core that we may use."""
        self.workers = workers or usable_cores()
        self._executor: ProcessPoolExecutor | None = None
        self._context = _Context()

    def warm(self) -> None:
        """Start the fork server, without waiting: it imports what workers need while we plan their work."""
        if self.workers > 1:
            self._context.set_forkserver_preload(list(PRELOAD))
            # First: its start would take back the block of the next line.
            multiprocessing.resource_tracker.ensure_running()
            # Ctrl-C goes to all processes of a terminal: only ours answers it; the server and what it forks never see
            # it, not even while they start. They end when this process does.
            with signals_held(signal.SIGINT):
                multiprocessing.forkserver.ensure_running()

    def run(
        self, batches: Iterator[pa.RecordBatch], function: BatchFunction
    ) -> Generator[list[pa.RecordBatch], None, None]:
        """Yield the result of each input batch.

        A single batch, or a pool of one, runs in this process: starting others would cost more.

        Raises:
            IngestError: If a worker process died (killed, out of memory).
        """
        first = next(batches, None)
        if first is None:
            return
        second = next(batches, None)
        if second is None or self.workers == 1:
            for batch in _chain(first, second, batches):
                yield list(function(iter([batch])))
            return
        yield from self._run_apart(_chain(first, second, batches), function)

    def close(self) -> None:
        """Stop the processes; work in flight is dropped."""
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)
            self._executor = None

    def _run_apart(
        self, batches: Iterator[pa.RecordBatch], function: BatchFunction
    ) -> Iterator[list[pa.RecordBatch]]:
        executor = self._start()
        pending: deque[Future[bytes]] = deque()
        try:
            for batch in batches:
                pending.append(executor.submit(_call, function, _pack([batch])))
                # Two batches a worker in flight keep it busy; more would only hold memory.
                if len(pending) > 2 * self.workers:
                    yield _unpack(pending.popleft().result())
            while pending:
                yield _unpack(pending.popleft().result())
        except BrokenProcessPool as error:
            self._executor = None
            raise IngestError(
                "a worker process died (killed, or out of memory); nothing of this step was committed: run it "
                "again, with fewer processes (--set engine.workers=1) if memory was short"
            ) from error
        finally:
            for future in pending:
                future.cancel()

    def _start(self) -> ProcessPoolExecutor:
        if self._executor is None:
            self.warm()
            self._executor = ProcessPoolExecutor(self.workers, mp_context=self._context, initializer=_enter_worker)
        return self._executor


class _Process(ForkServerProcess):
    """A process that does not run the caller's script again."""

    @staticmethod
    def _Popen(process_obj: BaseProcess) -> Any:
        # Workers need nothing of `__main__`. Importing it there would run a script without a main guard a second
        # time, in every worker; the standard library leaves out a main module that has no file.
        main = sys.modules["__main__"]
        sys.modules["__main__"] = types.ModuleType("__main__")
        try:
            return ForkServerProcess._Popen(process_obj)
        finally:
            sys.modules["__main__"] = main


class _Context(ForkServerContext):
    Process = _Process


def _chain(
    first: pa.RecordBatch, second: pa.RecordBatch | None, rest: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    yield first
    if second is not None:
        yield second
    yield from rest


def _enter_worker() -> None:
    # Every worker holds the pipe by which the fork server would notice that our process is gone: without this
    # thread they would wait for each other for ever. The next line is for the end of the fork server alone.
    threading.Thread(target=_end_with_parent, name="petrel-parent", daemon=True).start()
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # Keep the memory of one picture for the next. glibc gives buffers of this size back at every free and takes
    # them anew, 500 page faults a photo: 125 photos took a worker 0.55 s, now 0.38 s. Other C libraries lack mallopt.
    if hasattr(libc, "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, KEPT_BYTES // 4)
        libc.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
    # Where the fork server is not ours: somebody else started one before.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _call(function: BatchFunction, packed: bytes) -> bytes:
    return _pack(list(function(iter(_unpack(packed)))))


def _pack(batches: list[pa.RecordBatch]) -> bytes:
    if not batches:
        return b""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batches[0].schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return bytes(sink.getvalue())


def _unpack(packed: bytes) -> list[pa.RecordBatch]:
    return list(pa.ipc.open_stream(packed)) if packed else []
