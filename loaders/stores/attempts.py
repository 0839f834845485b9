"""Requests to a storage that may hang: each is an attempt that can be given up, run by a small crew of threads.

A thread that hangs in an attempt that was given up is left to itself and replaced; how many may be lost so is
bounded.
"""

from __future__ import annotations

import socket
import threading
import time
from collections import deque
from collections.abc import Callable

_ALIVE_PER_PARALLEL = 4
"""Threads of a crew, those lost in a storage that never answers included, for each request it runs at once."""

_PATIENCE_S = 0.5
"""How long `close` waits for threads whose connections it has shut: they need milliseconds."""


class TransientError(Exception):
    """A request failed in a way that may pass: 5xx, 429, a timeout, a cut answer. The message holds no secret."""


class Attempt:
    """One request under way: what it does, when it began, how it ended, and a way to give it up."""

    def __init__(self, work: Callable[[Attempt], None], ended: Callable[[Attempt], None]) -> None:
        """Args: `work` sends the request and delivers the answer; `ended` is called once, when it has ended."""
        self._work, self._ended = work, ended
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self.began: float | None = None
        self.error: Exception | None = None
        self.is_given_up = False
        self._has_ended = False

    def run(self) -> None:
        """Do the work in this thread; an error is kept in `error`."""
        self.began = time.monotonic()
        try:
            if not self.is_given_up:
                self._work(self)
        except Exception as error:
            self.end(error)
        else:
            self.end(None)

    def end(self, error: Exception | None) -> None:
        """Tell who waits that it has ended, unless that was told already."""
        with self._lock:
            if self._has_ended:
                return
            self._has_ended, self.error = True, error
        self._ended(self)

    def uses(self, connection: socket.socket | None) -> None:
        """Say which connection to shut when this attempt is given up.

        Raises:
            TransientError: If it was given up.
        """
        with self._lock:
            self._socket = connection
            if self.is_given_up and connection is not None:
                raise TransientError("given up")

    def give_up(self) -> None:
        """Make it end soon, by shutting its connection; its answer no longer counts."""
        with self._lock:
            self.is_given_up = True
            if self._socket is not None:
                try:
                    # Not the method of an SSL socket: that would hand later reads the encrypted bytes.
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
                except OSError:
                    pass  # it was closed already




class Crew:
    """At most `parallel` threads that run attempts in the order in which they come, and one more for each hedge."""

    def __init__(self, parallel: int, name: str) -> None:
        self._parallel, self._name = parallel, name
        self._most = parallel * _ALIVE_PER_PARALLEL
        self._changed = threading.Condition()
        self._waiting: deque[Attempt] = deque()
        self._running: dict[threading.Thread, Attempt] = {}
        self._regular: set[threading.Thread] = set()
        self._threads: set[threading.Thread] = set()
        self._is_closed = False
        self.last_end = time.monotonic()

    @property
    def lost(self) -> int:
        """Requests that were given up and have not come back."""
        with self._changed:
            return sum(attempt.is_given_up for attempt in self._running.values())

    def submit(self, attempt: Attempt) -> None:
        """Run an attempt when a thread is free."""
        with self._changed:
            if self._is_closed:
                raise RuntimeError("these files were closed")
            self._waiting.append(attempt)
            self._staff()

    def submit_at_once(self, attempt: Attempt) -> bool:
        """Run an attempt in a thread of its own; False if too many threads are lost already."""
        with self._changed:
            if self._is_closed or len(self._threads) >= self._most:
                return False
            self._start(lambda: self._run(attempt), is_regular=False)
            return True

    def replace_lost(self) -> None:
        """Start threads for those that hang in attempts that were given up."""
        with self._changed:
            self._staff()

    def close(self) -> None:
        """Give up what runs or waits, and end the threads; one that hangs is left to itself."""
        with self._changed:
            self._is_closed = True
            running, threads = [*self._waiting, *self._running.values()], list(self._threads)
            self._waiting.clear()
            self._changed.notify_all()
        for attempt in running:
            attempt.give_up()
            attempt.end(RuntimeError("these files were closed"))
        until = time.monotonic() + _PATIENCE_S
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, until - time.monotonic()))

    def _staff(self) -> None:
        busy = [self._running.get(thread) for thread in self._regular]
        idle = busy.count(None)
        useful = len(busy) - sum(attempt is not None and attempt.is_given_up for attempt in busy)
        for _ in range(len(self._waiting) - idle):
            if useful >= self._parallel or len(self._threads) >= self._most:
                break
            self._start(self._serve, is_regular=True)
            useful += 1
        self._changed.notify(len(self._waiting))

    def _start(self, target: Callable[[], None], *, is_regular: bool) -> None:
        def body() -> None:
            try:
                target()
            finally:
                with self._changed:
                    self._threads.discard(thread)
                    self._regular.discard(thread)

        thread = threading.Thread(target=body, name=self._name, daemon=True)
        self._threads.add(thread)
        if is_regular:
            self._regular.add(thread)
        thread.start()

    def _serve(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._is_closed:
                    self._changed.wait()
                if self._is_closed:
                    return
                attempt = self._waiting.popleft()
                self._running[threading.current_thread()] = attempt
            self._run(attempt)
            if attempt.is_given_up:  # another thread may have taken this one's place
                with self._changed:
                    if len(self._regular) > self._parallel:
                        self._regular.discard(threading.current_thread())
                        return
            del attempt  # an idle thread keeps no answer alive

    def _run(self, attempt: Attempt) -> None:
        me = threading.current_thread()
        with self._changed:
            self._running[me] = attempt
        try:
            attempt.run()
        finally:
            with self._changed:
                self._running.pop(me, None)
                self.last_end = time.monotonic()
