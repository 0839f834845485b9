"""Have units made by worker processes; their rows come back as JSON and bytes, nothing is pickled on the way."""

from __future__ import annotations

from concurrent.futures import CancelledError, Future
from typing import Protocol

import numpy as np

from loaders.engine.wire import Writer, restored
from loaders.petastorm.kinds import Value
from loaders.petastorm.rowgroups.order import Unit
from loaders.petastorm.rowgroups.work import Loaded, Maker, Rows, Task
from loaders.workers.messages import Json
from loaders.workers.pool import ProcessPool
from loaders.workers.threads import Inline
from loaders.workers.worker import Handle

_NO_MEMORY = np.empty(0, dtype=np.uint8)


class Sendable(Protocol):
    """What can be sent to another process and makes a maker there."""

    def maker(self) -> Maker:
        """Open what is to be read."""


class Processes:
    """Reads and decodes in worker processes, a unit at a time; the face of `ahead.Threads`."""

    def __init__(self, plan: Sendable, *, workers: int, deadline_s: float) -> None:
        """Start the processes in the background.

        Raises:
            FormatError: If the plan cannot be sent to them.
        """
        self.ahead, self.pieces = workers + 1, 1
        self._pool = ProcessPool(workers, build_maker, plan, deadline_s=deadline_s)
        self._here = Inline()

    def load(self, task: Task) -> Future[Loaded]:
        """Have a unit read and decoded."""
        unit = task.unit
        told = [task.epoch, task.place, task.seed, unit.ordinal, unit.part, unit.parts, unit.first, unit.last]
        answered = self._pool.submit(f"reading row group {unit.ordinal}", told)
        loaded: Future[Loaded] = Future()

        def settle(answer: Future[tuple[Json, bytes]]) -> None:
            if not loaded.set_running_or_notify_cancel():
                return
            if answer.cancelled():
                loaded.set_exception(CancelledError())
            elif (error := answer.exception()) is not None:
                loaded.set_exception(error)
            else:
                loaded.set_result(_Sent(*answer.result()))

        answered.add_done_callback(settle)
        return loaded

    def make(self, task: Task, loaded: Loaded, piece: int) -> Future[Rows]:
        """Unpack its rows."""
        return self._here.submit("unpacking", loaded.make, piece)

    def activity(self) -> list[str]:
        """Return what the processes are doing."""
        return self._pool.activity()

    def close(self, *, patience_s: float = 1.0) -> None:
        """End the processes."""
        self._pool.close(patience_s=max(patience_s, 2.0))


class _Sent:
    """The rows of a unit as they came from a worker process."""

    def __init__(self, told: Json, payload: bytes) -> None:
        self._told, self._payload = told, payload

    @property
    def pieces(self) -> int:
        """How many there are."""
        return len(self._told)

    @property
    def bytes(self) -> int:
        """Bytes of its arrays."""
        return len(self._payload)

    def make(self, piece: int) -> Rows:
        """Unpack one."""
        count, columns, windows = self._told[piece]
        unpacked = restored(columns, _NO_MEMORY, self._payload)
        return Rows(unpacked, count, restored(windows, _NO_MEMORY, self._payload))


def build_maker(plan: Sendable, _: tuple[Value, ...]) -> Handle:
    """Return what a worker process does with a job; called once in each."""
    maker = plan.maker()

    def handle(told: Json, _: bytes) -> tuple[Json, bytes]:
        epoch, place, seed, *unit = told
        loaded = maker.load(Task(epoch, place, Unit(*unit), seed))
        writer = Writer(_NO_MEMORY, 0)
        answer = []
        for piece in range(loaded.pieces):
            rows = loaded.make(piece)
            where = "what was read"
            answer.append([rows.count, writer.describe(rows.columns, where), writer.describe(rows.windows, where)])
        return answer, b"".join(writer.overflow)

    return handle
