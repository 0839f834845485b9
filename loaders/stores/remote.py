"""Files behind a network: ranges in parallel parts, tried again, hedged, and always done by a deadline.

The thread that wants a range watches over its requests; a crew of threads sends them. A request writes into memory of
its own and its answer is copied to the caller under a lock, so one that comes too late can change nothing.
"""

from __future__ import annotations

import random
import statistics
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from queue import Empty, SimpleQueue
from typing import Protocol
from urllib.parse import urlsplit

from loaders.errors import DeadlineError, StorageError
from loaders.stores.attempts import Attempt, Crew, TransientError
from loaders.stores.storage import StorageOptions, flat

_HEDGE_TIMES_MEDIAN = 4.0
_REMEMBERED = 64
"""Requests whose median time says what is usual."""

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 5.0
_GLANCE_S = 0.25
"""How often a read looks whether its waiting requests have begun."""

_SILENCE_OF_DEADLINE = 3
"""A connection may be silent for this part of the deadline, so that other tries have time left."""


class Source(Protocol):
    """One kind of storage; each call is one request, in one thread, without tries of its own.

    Raises TransientError for what may pass; FileNotFoundError, CorruptionError, StorageError for what does not.
    """

    root: str

    def size(self, name: str, attempt: Attempt) -> int: ...

    def fetch(self, name: str, start: int, length: int, attempt: Attempt) -> memoryview: ...

    def close(self) -> None: ...


def open_remote(url: str, options: StorageOptions) -> RemoteFiles:
    """Open a URL; nothing is asked yet.

    Raises:
        FormatError: If no file system knows the URL or an option.
        StorageError: If the file system cannot be made.
    """
    scheme = url.split("://", 1)[0].lower()
    if options.filesystem is None:
        from loaders.stores.http_source import HttpSource
        from loaders.stores.s3_source import has_keys, s3_source

        timeout_s = options.deadline_s / _SILENCE_OF_DEADLINE
        if scheme in ("http", "https") and urlsplit(url).hostname:
            return RemoteFiles(HttpSource(url, timeout_s=timeout_s), options)
        # Without keys in the environment there may be a profile or a role of the machine: pyarrow finds those.
        if scheme == "s3" and has_keys(options.options):
            return RemoteFiles(s3_source(url, options.options, timeout_s=timeout_s), options)
    from loaders.stores.filesystem_source import filesystem_source

    return RemoteFiles(filesystem_source(url, options), options)


@dataclass(slots=True)
class Counts:
    """What a `RemoteFiles` has done so far.

    Attributes:
        requests: Requests that were sent.
        bytes: Bytes that were delivered.
        retries: Requests sent again after an error.
        hedges: Requests sent once more because the first took unusually long.
    """

    requests: int = 0
    bytes: int = 0
    retries: int = 0
    hedges: int = 0


class RemoteFiles:
    """The files of one folder behind a network."""

    is_local = False

    def __init__(self, source: Source, options: StorageOptions) -> None:
        self.root = source.root
        self.counts = Counts()
        self._source, self._options = source, options
        self._crew = Crew(options.parallel, "petrel-fetch")
        self._times: deque[float] = deque(maxlen=_REMEMBERED)
        self._end = weakref.finalize(self, _end, self._crew, source)
        self._end.atexit = False  # daemon threads and sockets end with the process

    def size(self, name: str) -> int:
        found: list[int] = []

        def ask(attempt: Attempt) -> Callable[[], None]:
            size = self._source.size(name, attempt)
            return lambda: found.append(size)

        self._run(f"the size of {self.root}/{name}", [ask])
        return found[0]

    def read(self, name: str, start: int, length: int) -> bytes:
        data = bytearray(length)
        self.read_into(name, start, [memoryview(data)])
        return bytes(data)

    def read_into(self, name: str, start: int, parts: Sequence[memoryview]) -> None:
        areas = flat(parts)
        length = sum(area.nbytes for area in areas)
        count = -(-length // self._options.part_bytes)
        bounds = [length * at // count for at in range(count + 1)] if count else []

        def request(begin: int, end: int) -> Callable[[Attempt], Callable[[], None]]:
            def ask(attempt: Attempt) -> Callable[[], None]:
                data = self._source.fetch(name, start + begin, end - begin, attempt)
                return lambda: _scatter(data, areas, begin)

            return ask

        what = f"bytes {start:,} to {start + length:,} of {self.root}/{name}"
        self._run(what, [request(*pair) for pair in pairwise(bounds)])
        self.counts.bytes += length

    def close(self) -> None:
        self._end()

    def _run(self, what: str, asks: Sequence[Callable[[Attempt], Callable[[], None]]]) -> None:
        """Run requests; each returns how to deliver its answer, which happens once.

        Raises:
            DeadlineError: If no request of these came to its end within the deadline.
        """
        job = _Job([_Request(ask) for ask in asks])
        try:
            while waiting := [request for request in job.requests if not request.is_done]:
                now = time.monotonic()
                for request in waiting:
                    self._drive(job, request, now)
                try:
                    request, attempt = job.ended.get(timeout=self._next_look(job, waiting, now))
                except Empty:
                    self._check_deadline(job, waiting, what)
                    continue
                self._settle(job, request, attempt, what)
        finally:
            job.end()
            self._crew.replace_lost()

    def _drive(self, job: _Job, request: _Request, now: float) -> None:
        """Send a request that is not under way, or once more if it takes too long."""
        running = request.running
        if not running:
            if now >= request.not_before:
                self.counts.retries += request.tries > 0
                self._crew.submit(self._attempt(job, request))
        elif len(running) == 1 and not request.is_hedged and request.tries < self._options.tries:
            began = running[0].began
            if began is not None and now - began > self._unusual_s():
                request.is_hedged = True
                attempt = self._attempt(job, request)
                if self._crew.submit_at_once(attempt):
                    self.counts.hedges += 1
                else:
                    running.remove(attempt)

    def _attempt(self, job: _Job, request: _Request) -> Attempt:
        def work(attempt: Attempt) -> None:
            began = time.monotonic()
            deliver = request.ask(attempt)
            with job.lock:
                if not job.is_over and not request.is_done:
                    deliver()
                    request.is_done = True
                    self._times.append(time.monotonic() - began)

        attempt = Attempt(work, lambda attempt: job.ended.put((request, attempt)))
        request.running.append(attempt)
        request.tries += 1
        self.counts.requests += 1
        return attempt

    def _settle(self, job: _Job, request: _Request, attempt: Attempt, what: str) -> None:
        if attempt in request.running:
            request.running.remove(attempt)
        if request.is_done:
            job.last_progress = time.monotonic()
            for other in request.running:
                other.give_up()
            return
        error = attempt.error
        if error is None:
            return
        if not isinstance(error, TransientError):
            raise error
        job.last_error = str(error)
        if request.running:
            return  # its hedge is still under way
        if request.tries >= self._options.tries:
            raise StorageError(f"{what} did not come in {request.tries} tries; the last error: {error}")
        pause = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** (request.tries - 1))
        request.not_before = time.monotonic() + pause * random.uniform(0.5, 1.5)
        request.is_hedged = False

    def _unusual_s(self) -> float:
        usual = statistics.median(list(self._times) or [0.0])
        return max(self._options.hedge_after_s, _HEDGE_TIMES_MEDIAN * usual)

    def _next_look(self, job: _Job, waiting: Sequence[_Request], now: float) -> float:
        looks = [job.last_progress + self._options.deadline_s]
        for request in waiting:
            if not request.running:
                looks.append(request.not_before)
            elif request.running[0].began is None:
                looks.append(now + _GLANCE_S)
            elif not request.is_hedged:
                looks.append(request.running[0].began + self._unusual_s())
        return max(0.001, min(looks) - now)

    def _check_deadline(self, job: _Job, waiting: Sequence[_Request], what: str) -> None:
        has_begun = any(attempt.began is not None for request in waiting for attempt in request.running)
        if not has_begun and all(request.running for request in waiting):
            # All wait behind other reads: as long as those come to an end, so will ours.
            job.last_progress = max(job.last_progress, self._crew.last_end)
        if time.monotonic() < job.last_progress + self._options.deadline_s:
            return
        tries, lost = sum(request.tries for request in waiting), self._crew.lost
        raise DeadlineError(
            f"{what} did not come within {self._options.deadline_s:g} s ({tries} requests sent"
            + (f"; the last error: {job.last_error}" if job.last_error else "")
            + (f"; {lost} earlier requests never came back" if lost else "")
            + "); is the storage reachable, and is deadline_s long enough for part_bytes?"
        )


@dataclass(slots=True, eq=False)
class _Request:
    """One range that is wanted, and the attempts to get it."""

    ask: Callable[[Attempt], Callable[[], None]]
    running: list[Attempt] = field(default_factory=list)
    tries: int = 0
    not_before: float = 0.0
    is_hedged: bool = False
    is_done: bool = False


@dataclass(slots=True, eq=False)
class _Job:
    """The requests of one read. After `end` nothing is delivered any more."""

    requests: list[_Request]
    ended: SimpleQueue[tuple[_Request, Attempt]] = field(default_factory=SimpleQueue)
    lock: threading.Lock = field(default_factory=threading.Lock)
    last_progress: float = field(default_factory=time.monotonic)
    last_error: str = ""
    is_over: bool = False

    def end(self) -> None:
        with self.lock:
            self.is_over = True
        for request in self.requests:
            for attempt in request.running:
                attempt.give_up()


def _scatter(data: memoryview, parts: Sequence[memoryview], begin: int) -> None:
    """Copy `data` to where it belongs in the concatenation of `parts`, `begin` bytes after its start."""
    at = 0
    for part in parts:
        low, high = max(begin, at), min(begin + len(data), at + len(part))
        if low < high:
            part[low - at : high - at] = data[low - begin : high - begin]
        at += len(part)


def _end(crew: Crew, source: Source) -> None:
    source.close()
    crew.close()


