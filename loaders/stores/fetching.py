"""The thread that watches over requests: an event loop that starts at the first and ends with `close`."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
import weakref
from collections.abc import Coroutine
from typing import TypeVar

from loaders.errors import StorageError

T = TypeVar("T")

_PATIENCE_S = 0.5
"""How long `close` waits for requests that were given up: they need milliseconds."""

_first_process: int | None = None
"""The process that has sent the first request. The threads of obstore are in it, and in no child that it forks."""


class FetchLoop:
    """An event loop in a thread of its own."""

    def __init__(self, root: str) -> None:
        """Args: what is read through it, for messages."""
        self._root = root
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
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
                self._loop = asyncio.new_event_loop()
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


def _end(loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
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
