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
import pickle
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

import cloudpickle
import pyarrow as pa

from lakehouse.ending import signals_held
from lakehouse.engines.memory import keep_buffers
from lakehouse.engines.protocol import BatchFunction
from lakehouse.errors import ConfigError, IngestError

PRELOAD = (
    "lakehouse.engines.pool", "lakehouse.ingestion.storing.store", "lakehouse.ingestion.entities",
    "lakehouse.dimensions.extract", "lakehouse.opinions.reading.answer_rows", "lakehouse.opinions.writing.rows",
    # pyarrow looks for pandas at its first conversion: 0.35 s, here once instead of in every worker. May be missing.
    "pandas",
)
PR_SET_PDEATHSIG = 1


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
            ConfigError: If the function cannot be sent to another process, or not be found there.
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
        # Here and not by the executor: what cannot be packed there leaves it waiting for ever when it is closed.
        packed = _packed_function(function)
        executor = self._start()
        pending: deque[Future[bytes]] = deque()
        try:
            for batch in batches:
                pending.append(executor.submit(_call, packed, _pack([batch])))
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
    keep_buffers()
    # Where the fork server is not ours: somebody else started one before.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _packed_function(function: BatchFunction) -> bytes:
    try:
        return bytes(cloudpickle.dumps(function))  # functions of a notebook too
    except Exception as error:  # Objects of people's: pickling them may raise anything.
        raise _no_function(error) from error


def _call(function: bytes, packed: bytes) -> bytes:
    try:
        called = pickle.loads(function)
    except Exception as error:  # As above.
        raise _no_function(error) from error
    return _pack(list(called(iter(_unpack(packed)))))


def _no_function(error: Exception) -> ConfigError:
    return ConfigError(
        f"worker processes cannot get a function: {type(error).__name__}: {error}; put what is yours at the top level "
        "of a module that can be imported, or work in one process: --set engine.workers=1"
    )


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
