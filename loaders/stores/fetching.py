"""The thread that watches over requests: an event loop that starts at the first and ends with `close`."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
import time
import weakref
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import TypeVar, TypeVarTuple, Unpack

from loaders.errors import StorageError

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_PATIENCE_S = 0.5
"""How long `close` waits for requests that were given up: they need milliseconds."""

_first_process: int | None = None
"""The process that has sent the first request. The threads of obstore are in it, and in no child that it forks."""


_EPILOGUE_S = 0.01
"""What a thread of obstore needs to let go of Python after its last call of the loop: microseconds, if it is awake."""


class _Loop(asyncio.SelectorEventLoop):
    """A loop that knows how many threads are calling it.

    A thread of obstore hands over an answer by such a call, in which it gives the interpreter's lock away. Where the
    program has ended meanwhile it can never take the lock again, and the process aborts: so its end waits for these.
    """

    def __init__(self) -> None:
        super().__init__()
        self._calls_lock = threading.Lock()
        self.calls = 0

    def call_soon_threadsafe(
        self, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """See `asyncio.loop.call_soon_threadsafe`."""
        with self._calls_lock:
            self.calls += 1
        try:
            return super().call_soon_threadsafe(callback, *args, context=context)
        finally:
            with self._calls_lock:
                self.calls -= 1


class FetchLoop:
    """An event loop in a thread of its own."""

    def __init__(self, root: str) -> None:
        """Args: what is read through it, for messages."""
        self._root = root
        self._lock = threading.Lock()
        self._loop: _Loop | None = None
        self._is_closed = False
        self._end: weakref.finalize[..., FetchLoop] | None = None

    def run(self, work: Coroutine[object, object, T]) -> T:
        """Run something in the loop and wait for it.

        Raises:
            RuntimeError: If it is closed, or is so before that has ended.
            StorageError: If this process was forked from one that had sent requests.
        """
        try:
            future = asyncio.run_coroutine_threadsafe(work, self._started())
        except BaseException:
            work.close()
            raise
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            raise RuntimeError("these files were closed") from None
        finally:
            future.cancel()

    def close(self) -> bool:
        """Give up what runs, and end the thread; False if it was closed before."""
        with self._lock:
            if self._is_closed:
                return False
            self._is_closed = True
            end, self._end = self._end, None
        if end is not None:
            end()
        return True

    def _started(self) -> asyncio.AbstractEventLoop:
        global _first_process
        with self._lock:
            if self._is_closed:
                raise RuntimeError("these files were closed")
            _first_process = _first_process or os.getpid()
            if _first_process != os.getpid():
                raise StorageError(
                    f"{self._root} cannot be read in this process: it was forked from one that had read from a remote "
                    "storage, whose threads a fork does not copy; start processes by spawn or forkserver "
                    '(of torch: DataLoader(multiprocessing_context="spawn"))'
                )
            if self._loop is None:
                self._loop = _Loop()
                thread = threading.Thread(target=_serve, args=(self._loop,), name="petrel-fetch", daemon=True)
                self._end = weakref.finalize(self, _end, self._loop, thread)
                thread.start()
            return self._loop


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.close()


def _end(loop: _Loop, thread: threading.Thread) -> None:
    if _first_process != os.getpid():
        return  # a forked child: the thread is its parent's

    async def give_up() -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=_PATIENCE_S) if tasks else None
        loop.stop()

    work = give_up()
    try:
        asyncio.run_coroutine_threadsafe(work, loop)
    except RuntimeError:  # it has ended already
        work.close()
        return
    if thread is not threading.current_thread():
        thread.join(2 * _PATIENCE_S)
        last = time.monotonic() + _PATIENCE_S
        while loop.calls and time.monotonic() < last:
            time.sleep(_EPILOGUE_S)
        time.sleep(_EPILOGUE_S)
