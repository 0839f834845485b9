"""Files behind a network: ranges in parallel parts, tried again, hedged, and always done by a deadline.

One thread of each `RemoteFiles` watches over its requests, all of which can be given up at any time. An answer is
copied to the caller under a lock while he waits, so one that comes too late can change nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import re
import statistics
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Protocol, TypeVar, cast

from loaders.errors import ChangedFileError, CorruptionError, DeadlineError, StorageError
from loaders.stores.fetching import FetchLoop
from loaders.stores.saying import TransientError
from loaders.stores.storage import ONE_REQUEST_BYTES, Content, Stat, Storage, StorageOptions, flat

T = TypeVar("T")

_MD5 = re.compile("[0-9a-f]{32}")

_HEDGE_TIMES_MEDIAN = 4.0
_REMEMBERED = 64
"""Requests whose median time says what is usual."""

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 5.0

_AWAY_S = 2.0
"""Deadline of a request after one was given up, until one is answered: a program that comes to its end, and puts away
what it has, does not wait through the whole deadline for every request that it still makes."""


class RequestSource(Protocol):
    """One kind of storage; each call is one request that ends at once when its task is cancelled.

    Raises TransientError for what may pass; FileNotFoundError, CorruptionError, StorageError for what does not.
    """

    root: str
    is_read_only: bool

    async def stat(self, name: str) -> Stat: ...

    async def fetch(self, name: str, start: int, length: int) -> memoryview: ...

    async def get(self, name: str, most: int) -> tuple[memoryview | None, Stat]: ...

    async def list(self, folder: str, after: str) -> tuple[Sequence[Stat], bool]: ...

    def close(self) -> None: ...


class Target(RequestSource, Protocol):
    """One that is written to as well."""

    async def put(self, name: str, content: Content, *, is_new: bool, storage_class: str = "") -> None: ...

    async def put_if_same(self, name: str, content: Content, version: str) -> str: ...

    async def delete(self, name: str) -> None: ...

    async def copy(self, name: str, to: str) -> None: ...


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


class RemoteFiles(Storage):
    """The files of one folder behind a network."""

    is_local = False

    def __init__(self, source: RequestSource, options: StorageOptions) -> None:
        self.root = source.root
        self.counts = Counts()
        self._source, self._options = source, options
        self._slots = asyncio.Semaphore(options.parallel)
        self._times: list[float] = []
        self._unusual_s = options.hedge_after_s
        self._is_away = False
        self._etags = ""
        self._loop = FetchLoop(self.root)

    def stat(self, name: str) -> Stat:
        return self._run(self._asked(f"the size of {self.root}/{name}", lambda: self._source.stat(name)))

    def read_whole(self, name: str, *, most: int | None = None) -> bytes:
        if most is not None:
            return super().read_whole(name, most=most)
        data, told = self._got(name)
        return self.read(name, 0, told.size) if data is None else data

    def read_told(self, name: str) -> tuple[bytes, Stat]:
        while True:
            data, told = self._got(name)
            if data is not None:
                return data, told
            whole = self.read(name, 0, told.size)
            if self.stat(name).version == told.version:
                return whole, told

    def _got(self, name: str) -> tuple[bytes | None, Stat]:
        """Ask for a whole file in one request; None in place of the bytes if they are better asked for in parts."""
        what = f"{self.root}/{name}"

        others: list[bytes] = []

        async def get() -> tuple[bytes | None, Stat]:
            data, told = await self._source.get(name, self._options.part_bytes)
            if data is None:
                return None, told
            if len(data) != told.size:
                raise TransientError(f"{len(data):,} bytes came instead of {told.size:,}")
            whole = bytes(data)
            if not self._believes(whole, told.version, others):
                others.append(whole)
                raise TransientError("other bytes came than its etag says")
            return whole, told

        data, told = self._run(self._asked(what, get))
        self.counts.bytes += len(data or b"")
        return data, told

    def _believes(self, data: bytes, etag: str, others: Sequence[bytes]) -> bool:
        """Tell whether bytes are those of an etag: of what was put at once it is the MD5, unless the store encrypts.

        Where no etag ever was one, the second equal answer is believed, and from then on each; elsewhere the fourth.
        """
        tag = etag.strip('"')
        if not _MD5.fullmatch(tag) or self._etags == "no hashes":
            return True
        if hashlib.md5(data, usedforsecurity=False).hexdigest() == tag:
            self._etags = "hashes"
            return True
        if others.count(data) < (3 if self._etags else 1):
            return False
        self._etags = self._etags or "no hashes"
        return True

    def read_into(self, name: str, start: int, parts: Sequence[memoryview]) -> None:
        areas = flat(parts)
        length = sum(area.nbytes for area in areas)
        if not length:
            return
        count = -(-length // self._options.part_bytes)
        bounds = [length * at // count for at in range(count + 1)]
        what = f"bytes {start:,} to {start + length:,} of {self.root}/{name}"
        delivery = _Delivery(areas)

        async def fetch(begin: int, end: int) -> None:
            data = await self._asked(what, lambda: self._fetched(name, start + begin, end - begin))
            delivery.deliver(data, begin)

        try:
            self._run(fetch(0, length) if count == 1 else _all(fetch(*pair) for pair in pairwise(bounds)))
        finally:
            delivery.end()
        self.counts.bytes += length

    def list(self, folder: str = "", *, after: str = "") -> Iterator[Stat]:
        prefix = f"{folder.strip('/')}/" if folder.strip("/") else ""
        more = True
        while more:  # a page at a time: a request that fails is sent again from where the one before ended
            ask = partial(self._source.list, prefix, after)
            page, more = self._run(self._asked(f"the list of {self.root}/{prefix}", ask))
            yield from (each for each in page if each.name > after)
            after = page[-1].name if page else after

    def put(self, name: str, content: Content) -> None:
        self._write(name, content, is_new=False)

    def put_in_class(self, name: str, content: Content, storage_class: str) -> None:
        self._write(name, content, is_new=False, storage_class=storage_class)

    def put_if_absent(self, name: str, content: Content) -> None:
        self._write(name, content, is_new=True)

    def put_if_same(self, name: str, content: Content, version: str) -> str:
        try:
            ask = partial(self._target.put_if_same, name, content, version)
            return self._run(self._asked(f"writing {self.root}/{name}", ask))
        except ChangedFileError:
            # An earlier try may have written it before its answer was lost.
            try:
                now = self.stat(name)
                if self.read_whole(name) == _bytes_of(content):
                    return now.version
            except FileNotFoundError:
                pass
            raise

    def delete(self, name: str) -> None:
        self._run(self._asked(f"deleting {self.root}/{name}", lambda: self._target.delete(name)))

    def copy(self, name: str, to: str) -> None:
        self._run(self._asked(f"the copy of {self.root}/{name}", lambda: self._target.copy(name, to)))

    def close(self) -> None:
        if self._loop.close():
            self._source.close()

    @property
    def _target(self) -> Target:
        if self._source.is_read_only:
            raise StorageError(f"{self.root} is read-only: only buckets and local folders are written")
        return cast("Target", self._source)

    async def _fetched(self, name: str, start: int, length: int) -> memoryview:
        data, place = await self._source.fetch(name, start, length), f"{self.root}/{name}"
        if len(data) == length:
            return data
        size = (await self._source.stat(name)).size
        if size < start + length:
            raise CorruptionError(
                f"{place} ends at byte {size:,}, expected {start + length:,} or more; publish it again", file=place
            )
        raise TransientError(f"{len(data):,} bytes came instead of {length:,}")

    def _write(self, name: str, content: Content, *, is_new: bool, storage_class: str = "") -> None:
        size = content.stat().st_size if isinstance(content, Path) else memoryview(content).nbytes
        tries = 0

        async def put() -> None:
            nonlocal tries
            tries += 1
            await self._target.put(name, content, is_new=is_new, storage_class=storage_class)

        try:
            parts, in_parts = -(-size // self._options.part_bytes), not is_new and size > ONE_REQUEST_BYTES
            self._run(self._asked(f"writing {self.root}/{name}", put, parts=parts, in_parts=in_parts))
        except FileExistsError:
            # An earlier try may have written it before its answer was lost.
            if tries < 2 or self.size(name) != size or self.read_whole(name) != _bytes_of(content):
                raise

    def _run(self, work: Coroutine[object, object, T]) -> T:
        return self._loop.run(work)

    async def _asked(
        self, what: str, ask: Callable[[], Awaitable[T]], *, parts: int = 1, in_parts: bool = False
    ) -> T:
        """Send a request when there is a slot, again and again if need be; return its answer.

        Args:
            what: What is asked for, for messages.
            ask: Sends it once.
            parts: How often the deadline counts.
            in_parts: Whether it is many requests in truth: all of them again would take as long again.

        Raises:
            DeadlineError: If no answer came within the deadline, counted from when it had its slot.
            StorageError: If the last try failed too, or the first one for a reason that does not pass.
        """
        deadline_s = left_s = self._options.deadline_s * max(1, parts)
        most = self._options.tries
        if self._is_away:
            deadline_s, left_s, most = min(deadline_s, _AWAY_S), min(left_s, _AWAY_S), 1
        tries, pause_s, last = 0, 0.0, ""
        while left_s > pause_s:
            await asyncio.sleep(pause_s)
            left_s -= pause_s
            async with self._slots:  # waiting for one does not count: as long as others come to an end, so will this
                began = time.monotonic()
                tries += 1
                self.counts.retries += tries > 1
                try:
                    async with asyncio.timeout(left_s):
                        answer = await self._hedged(ask, may_hedge=tries < most and not in_parts)
                except TimeoutError:
                    break
                except TransientError as error:
                    last = str(error)
                except (FileNotFoundError, FileExistsError, ChangedFileError, CorruptionError):
                    self._is_away = False
                    raise
                except StorageError as error:
                    raise type(error)(f"{error} (tries: {tries})") from None
                else:
                    self._is_away = False
                    return answer
                left_s -= time.monotonic() - began
            if tries >= most:
                self._is_away = True
                raise StorageError(f"{what} did not come in {tries} tries; the last error: {last}")
            pause_s = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** (tries - 1)) * random.uniform(0.5, 1.5)
        self._is_away = True
        raise DeadlineError(
            f"{what} did not come within {deadline_s:g} s ({tries} requests sent"
            f"{f'; the last error: {last}' if last else ''}); is the storage reachable, and is deadline_s long enough "
            "for part_bytes?"
        )

    async def _hedged(self, ask: Callable[[], Awaitable[T]], *, may_hedge: bool) -> T:
        """Send a request, and once more on another connection if it takes unusually long; the first answer counts."""
        running = [self._sent(ask)]
        try:
            await asyncio.wait(running, timeout=self._unusual_s if may_hedge else None)
            if not running[0].done():
                self.counts.hedges += 1
                running.append(self._sent(ask))
                done, waiting = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                if waiting and all(isinstance(each.exception(), TransientError) for each in done):
                    done, _ = await asyncio.wait(waiting)
                running.sort(key=lambda each: each not in done)
            return running[0].result()
        finally:
            if left := [each for each in running if not each.done()]:
                for each in left:
                    each.cancel()
                await asyncio.wait(left)

    def _sent(self, ask: Callable[[], Awaitable[T]]) -> asyncio.Task[T]:
        async def timed() -> T:
            began = time.monotonic()
            answer = await ask()
            self._times.append(time.monotonic() - began)
            if len(self._times) == _REMEMBERED:
                usual = statistics.median(self._times)
                self._unusual_s = max(self._options.hedge_after_s, _HEDGE_TIMES_MEDIAN * usual)
                self._times.clear()
            return answer

        self.counts.requests += 1
        return asyncio.get_running_loop().create_task(timed())


def _bytes_of(content: Content) -> bytes:
    return content.read_bytes() if isinstance(content, Path) else bytes(content)


class _Delivery:
    """Memory of a caller that is filled while he waits. After `end` nothing is delivered any more."""

    def __init__(self, areas: Sequence[memoryview]) -> None:
        self._areas: Sequence[memoryview] = areas
        self._lock = threading.Lock()

    def deliver(self, data: memoryview, begin: int) -> None:
        """Copy `data` to where it belongs in the concatenation of the areas, `begin` bytes after its start."""
        with self._lock:
            at = 0
            for area in self._areas:
                low, high = max(begin, at), min(begin + len(data), at + len(area))
                if low < high:
                    area[low - at : high - at] = data[low - begin : high - begin]
                at += len(area)

    def end(self) -> None:
        """Forget the memory."""
        with self._lock:
            self._areas = ()


async def _all(works: Iterator[Coroutine[object, object, None]]) -> None:
    """Do several things at once; the first error ends the others and is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(work)
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
