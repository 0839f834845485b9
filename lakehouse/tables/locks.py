"""One writer per table at a time, whichever engine it uses and wherever the lake is."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from lakehouse.errors import ConcurrentWriteError

if TYPE_CHECKING:
    from lakehouse.lake import Lake

POLL_S = 0.02


class Held(Protocol):
    """A lock that is held."""

    @property
    def fence(self) -> int:
        """Fencing number, one more than that of the holder before; 0 where the kernel watches over the lock."""
        ...

    def check(self) -> None:
        """Check that it is held still; raises LockLostError if not."""


class HeldByKernel:
    """A lock that nobody can take from its process."""

    fence = 0

    def check(self) -> None:
        """It is held until it is released."""


@contextmanager
def lake_lock(lake: Lake, name: str, *, timeout_s: float | None = None) -> Iterator[Held]:
    """Hold the lock `name` of a lake: in its folder, or a lease in its bucket.

    Args:
        lake: The lake.
        name: Table or resource to lock.
        timeout_s: How long to wait for the holder; None takes `engine.lock_timeout_s`.

    Raises:
        ConcurrentWriteError: If it was not free within that time.
        StorageError: If the bucket refuses, or does not answer.
    """
    store = lake.home.store
    timeout_s = lake.config.engine.lock_timeout_s if timeout_s is None else timeout_s
    if lake.home.is_local or store.single_writer:
        with writer_lock(lake.locks, name, timeout_s=timeout_s) as held:
            yield held
        return
    from lakehouse.tables.leases import lease

    with lease(lake.home, name, timeout_s=timeout_s, lease_s=store.lease_s) as taken:
        yield taken


@contextmanager
def writer_lock(folder: Path, name: str, *, timeout_s: float) -> Iterator[Held]:
    """Hold the advisory lock `name`; the kernel releases it when the process dies, however it dies.

    Spark's commit on a local disk is check-then-rename (two writers can both be told yes), so every writer of
    ours takes this lock first. flock holds between processes of one machine; a lake on a network disk needs a
    file system that passes flock on (NFS 4 does).

    Args:
        folder: The lake's `_locks` folder.
        name: Table or resource to lock.
        timeout_s: How long to wait for the holder.

    Raises:
        ConcurrentWriteError: If the lock was not free within `timeout_s`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _wait(descriptor, path, timeout_s)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield HeldByKernel()
    finally:
        os.close(descriptor)


def _wait(descriptor: int, path: Path, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            if time.monotonic() >= deadline:
                holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
                raise ConcurrentWriteError(
                    f"{path.stem}: another writer (process {holder}) held the table for {timeout_s:g} s; "
                    f"wait for it, or raise engine.lock_timeout_s ({path})"
                ) from error
            time.sleep(POLL_S)
        else:
            return
