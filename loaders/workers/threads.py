"""A pool of daemon threads: a stuck one never keeps a program from ending, and says what it is stuck at."""

from __future__ import annotations

import atexit
import math
import queue
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any, TypeVar

from loaders.errors import DeadlineError

_AT_EXIT_S = 3.0
"""How long a program that ends waits for what its threads are at. Native code of pyarrow's that comes back while the
interpreter is taken down aborts the process; a thread that hangs is asleep, or in a system call, and does no harm."""

_POLL_S = 0.25  # how soon a waiting thread notices that another one closed what it waits for

T = TypeVar("T")
_Job = tuple["Future[Any]", str, Callable[..., object], tuple[object, ...]]


_pools: weakref.WeakSet[Pool] = weakref.WeakSet()


@atexit.register
def _end_pools() -> None:
    until = time.monotonic() + _AT_EXIT_S
    for pool in list(_pools):
        pool.close(patience_s=max(0.0, until - time.monotonic()))


class Pool:
    """Threads that run jobs in the order in which they were handed in.

    The standard executor's threads are joined at exit: one that hangs in a file system would hang the program.
    """

    def __init__(self, threads: int, name: str) -> None:
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._now: dict[int, tuple[str, float]] = {}
        self.closed = threading.Event()
        self._name = name
        self._threads: list[threading.Thread] = []
        self._wanted = 0
        _pools.add(self)
        self.resize(threads)

    def submit(self, what: str, function: Callable[..., T], *args: object) -> Future[T]:
        """Hand in a job; `what` names it for the one who waits."""
        future: Future[T] = Future()
        self._jobs.put((future, what, function, args))
        return future

    def resize(self, threads: int) -> None:
        """Go on with another number of threads; one too many ends when it comes to the end of the queue."""
        for _ in range(threads, self._wanted):
            self._jobs.put(None)
        for _ in range(self._wanted, threads):
            name = f"{self._name}-{len(self._threads)}"
            thread = threading.Thread(target=_work, args=(self._jobs, self._now, self.closed), name=name, daemon=True)
            self._threads.append(thread)
            thread.start()
        self._wanted = threads

    def activity(self) -> list[str]:
        """Return what each busy thread is doing, and for how long."""
        now = time.monotonic()
        return [f"{what} (for {max(0.0, now - since):.1f} s)" for what, since in list(self._now.values())]

    def close(self, *, patience_s: float = 1.0) -> None:
        """Drop waiting jobs and end the threads; one that does not end in `patience_s` is left to itself."""
        if not self.closed.is_set():
            self.closed.set()
            try:
                while True:
                    if (job := self._jobs.get_nowait()) is not None:
                        job[0].cancel()
            except queue.Empty:
                pass
            for _ in self._threads:
                self._jobs.put(None)
        until = time.monotonic() + patience_s
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, until - time.monotonic()))


class Inline:
    """The face of `Pool` without threads: a job is done when it is handed in, by whoever hands it in."""

    def __init__(self) -> None:
        self.closed = threading.Event()

    def submit(self, what: str, function: Callable[..., T], *args: object) -> Future[T]:
        """Do a job."""
        future: Future[T] = Future()
        try:
            future.set_result(function(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    def activity(self) -> list[str]:
        """Return nothing: between two calls nobody is busy."""
        return []

    def close(self, *, patience_s: float = 1.0) -> None:
        """Take no more jobs."""
        self.closed.set()


def _work(
    jobs: queue.SimpleQueue[_Job | None], now: dict[int, tuple[str, float]], closed: threading.Event
) -> None:
    me = threading.get_ident()
    while (job := jobs.get()) is not None:
        future, what, function, args = job
        if closed.is_set() or not future.set_running_or_notify_cancel():
            future.cancel()
            continue
        now[me] = (what, time.monotonic())
        try:
            future.set_result(function(*args))
        except BaseException as error:
            future.set_exception(error)
        finally:
            now.pop(me, None)
        del job, future, function, args  # an idle thread must not keep a batch alive


class NotInTimeError(Exception):
    """What was waited for goes on; no error of time of its own."""


def within(seconds: float, what: str, function: Callable[..., T], *args: object) -> T:
    """Run a function in a thread of its own and wait at most `seconds` for it.

    Raises:
        DeadlineError: If it did not end in time; the thread is left to itself.
    """
    pool = Pool(1, "petrel-open")
    future = pool.submit(what, function, *args)
    try:
        if not wait_done(future, seconds):
            raise DeadlineError(f"{what} did not end within {seconds:g} s; is the storage reachable?")
        return future.result()
    finally:
        pool.close(patience_s=0.0)


def result_or_closed(future: Future[T], closed: threading.Event, *, until: float = math.inf) -> T:
    """Wait for the result of a future, but not longer than until what would give it is closed.

    Raises:
        CancelledError: If it was closed first.
        NotInTimeError: If `until`, on the clock of `time.monotonic`, came first; else whatever the future raises.
    """
    while True:
        try:
            return future.result(timeout=max(0.0, min(_POLL_S, until - time.monotonic())))
        except FutureTimeout:
            if future.done():  # meanwhile, or its own error is one of time
                return future.result()
            if closed.is_set():
                raise CancelledError from None
            if time.monotonic() >= until:
                raise NotInTimeError from None


def wait_done(future: Future[T], seconds: float) -> bool:
    """Wait until a future has a result, an error or was cancelled; False if `seconds` pass first."""
    done = threading.Event()
    future.add_done_callback(lambda _: done.set())
    return done.wait(seconds)
