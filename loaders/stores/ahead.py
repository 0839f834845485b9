"""Work that waits for a network, several at once and in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from loaders.stores.storage import AT_ONCE

A = TypeVar("A")
B = TypeVar("B")


def ahead(work: Callable[[A], B], items: Iterable[A], *, at_once: int = AT_ONCE) -> Generator[B]:
    """Yield what `work` gives for each item, in the order of the items.

    Args:
        work: Called in threads of its own; what it raises is raised where its result would come.
        items: Taken as they are needed.
        at_once: Calls that run, or whose result waits to be taken: so many results are in memory. 1 and less calls
            in this thread, one after the other.
    """
    if at_once <= 1:
        yield from map(work, items)
        return
    waiting: deque[Future[B]] = deque()
    threads = ThreadPoolExecutor(at_once, "petrel-ahead")
    try:
        for item in items:
            waiting.append(threads.submit(work, item))
            if len(waiting) == at_once:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        threads.shutdown(cancel_futures=True)
