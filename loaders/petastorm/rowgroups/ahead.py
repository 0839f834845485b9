"""Units made ahead of the caller, in order: what is read, what is decoded, and how much of it at once."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol, TypeVar

from loaders.errors import DeadlineError
from loaders.petastorm.rowgroups.work import Loaded, Maker, Rows, Task
from loaders.workers.threads import Inline, NotInTimeError, Pool, result_or_closed

T = TypeVar("T")

AHEAD_BYTES = 32 << 20
"""Row groups are read ahead while those read are smaller than this together; one is always read."""


class Workers(Protocol):
    """Who does the work: threads, processes, or the caller."""

    ahead: int
    """Units that may be read and not delivered."""
    pieces: int
    """Pieces that may be decoded, or on their way, and not delivered."""

    def load(self, task: Task) -> Future[Loaded]:
        """Have a unit read."""

    def make(self, task: Task, loaded: Loaded, piece: int) -> Future[Rows]:
        """Have a piece of it decoded."""

    def activity(self) -> list[str]:
        """Return what the workers are doing."""

    def close(self, *, patience_s: float = 1.0) -> None:
        """End them; futures that have not begun are cancelled."""


class Threads:
    """Reads with threads of this process, and decodes with others; with `threads=0` the caller does both."""

    def __init__(self, maker: Maker, *, threads: int, readers: int) -> None:
        """Start them.

        Args:
            maker: What they call.
            threads: Threads that decode; 0: none, and none that read.
            readers: Threads that read; 1 keeps up with decoding, more where reading is the work.
        """
        self._maker = maker
        self.ahead = 1 if not threads else readers + 1
        self.pieces = 1 if not threads else threads + 1
        self._reading: Pool | Inline = Pool(readers, "petrel-read") if threads else Inline()
        self._decoding: Pool | Inline = Pool(threads, "petrel-decode") if threads else Inline()

    def load(self, task: Task) -> Future[Loaded]:
        """Have a unit read."""
        return self._reading.submit(f"reading row group {task.unit.ordinal}", self._maker.load, task)

    def make(self, task: Task, loaded: Loaded, piece: int) -> Future[Rows]:
        """Have a piece of it decoded."""
        what = f"decoding piece {piece} of row group {task.unit.ordinal}"
        return self._decoding.submit(what, loaded.make, piece)

    def activity(self) -> list[str]:
        """Return what the threads are doing."""
        return self._reading.activity() + self._decoding.activity()

    def close(self, *, patience_s: float = 1.0) -> None:
        """End the threads."""
        until = time.monotonic() + patience_s
        self._decoding.close(patience_s=0.0)
        self._reading.close(patience_s=patience_s)
        self._decoding.close(patience_s=max(0.0, until - time.monotonic()))


@dataclass(eq=False, slots=True)
class _Unit:
    task: Task
    loaded: Future[Loaded]
    next_piece: int = 0


@dataclass(frozen=True, slots=True)
class _Piece:
    task: Task
    rows: Future[Rows]


class Ahead:
    """Gives the pieces of many units in order while later ones are in the making. One thread at a time calls `next`."""

    def __init__(self, workers: Workers, tasks: Iterator[Task], *, deadline_s: float) -> None:
        """Begin.

        Args:
            workers: Who reads and decodes.
            tasks: The units, in order; may be endless.
            deadline_s: Seconds in which a piece comes.
        """
        self._workers, self._tasks, self._deadline_s = workers, tasks, deadline_s
        self._units: deque[_Unit] = deque()
        self._pieces: deque[_Piece] = deque()
        self._largest: int | None = None
        self._is_over = False
        self._closed = threading.Event()

    @property
    def waiting(self) -> int:
        """Pieces that are decoded and not delivered."""
        return sum(piece.rows.done() for piece in list(self._pieces))

    @property
    def under_way(self) -> int:
        """Units that are being read or decoded."""
        return len(self._units)

    def next(self) -> tuple[Task, Rows] | None:
        """Return the next piece: its unit and its rows; a unit without rows has one empty piece. None after the last.

        Raises:
            DeadlineError: If it does not come in time; what is under way goes on.
            CancelledError: If this was closed meanwhile.
            Exception: What went wrong with it.
        """
        until = time.monotonic() + self._deadline_s
        while True:
            self._look_ahead()
            if self._pieces:
                piece = self._pieces[0]
                rows = self._wait(piece.rows, until)
                self._pieces.popleft()
                return piece.task, rows
            if not self._units:
                return None
            self._wait(self._units[0].loaded, until)

    def close(self) -> None:
        """Give up what is under way; a `next` in another thread ends soon."""
        self._closed.set()
        for unit in list(self._units):
            unit.loaded.cancel()
        for piece in list(self._pieces):
            piece.rows.cancel()

    def _look_ahead(self) -> None:
        """Have more units read, and more pieces of the first of them decoded."""
        while not self._is_over and len(self._units) < self._most_units():
            task = next(self._tasks, None)
            if task is None:
                self._is_over = True
                break
            self._units.append(_Unit(task, self._workers.load(task)))
        while self._units and len(self._pieces) < self._workers.pieces:
            unit = self._units[0]
            if not unit.loaded.done() or unit.loaded.cancelled() or unit.loaded.exception() is not None:
                return
            loaded, number = unit.loaded.result(), unit.next_piece
            self._largest = max(self._largest or 0, loaded.bytes)
            if number < loaded.pieces:
                self._pieces.append(_Piece(unit.task, self._workers.make(unit.task, loaded, number)))
                unit.next_piece = number + 1
            elif not number:
                nothing: Future[Rows] = Future()
                nothing.set_result(Rows({}, 0))
                self._pieces.append(_Piece(unit.task, nothing))
            if unit.next_piece >= loaded.pieces:
                self._units.popleft()

    def _most_units(self) -> int:
        """Return how many units may be read ahead: two until the first has told how large they are."""
        if self._largest is None:
            return min(2, self._workers.ahead)
        return max(1, min(self._workers.ahead, AHEAD_BYTES // max(1, self._largest)))

    def _wait(self, future: Future[T], until: float) -> T:
        try:
            return result_or_closed(future, self._closed, until=until)
        except StopIteration as error:  # of a caller's function; it would end a loop in silence
            raise RuntimeError(f"a predicate or transform raised StopIteration: {error}") from error
        except NotInTimeError:
            doing = "; ".join(self._workers.activity()) or "nothing"
            raise DeadlineError(
                f"the next rows did not come within {self._deadline_s:g} s; the workers are doing: {doing}"
            ) from None
