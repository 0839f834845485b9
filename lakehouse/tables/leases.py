"""Locks in a bucket: one object for each, taken and renewed by conditional writes, which several machines respect.

The object `_locks/<name>.json` says who holds the lock, for how long without renewal, and its fencing number, which
grows with every holder. Released, it stays, without an owner. A holder that dies renews nothing: when the object has
not changed for its lease, the next one takes it over. Nobody's clock is compared with another's: the age of the object
is told by the store, and waiting is counted by the one who waits.
"""

from __future__ import annotations

import json
import os
import platform
import random
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace

from lakehouse.errors import ConcurrentWriteError, ConfigError, LockLostError
from lakehouse.home import Home
from loaders.errors import ChangedFileError, LoaderError, StorageError
from loaders.stores.storage import Storage

LOCKS = "_locks"
RENEWALS = 3
"""Renewals in the time of a lease: two may fail before it is lost."""
SAFE_SHARE = 0.8
"""Of a lease, counted from when its last renewal was asked for: later than that its holder commits no more."""
POLL_S = (0.05, 0.25)
"""First and longest pause of somebody who waits; each is half as long again as the one before. One request for each: an
hour of waiting costs a cent at S3's prices, and the longer the pause, the longer a busy writer keeps others out."""
UNREADABLE_S = 30.0
"""How long a lock holds that cannot be read."""
RELEASE_S = 5.0
"""How long a release waits for a renewal that is under way; after that the lease is left to expire."""


@dataclass(frozen=True, slots=True)
class Lease:
    """What the object of a lock says.

    Attributes:
        owner: Unique to one holder; "" once it is released.
        who: The holder for people: process and machine.
        fence: Fencing number: 1 of the first holder, one more of each that followed.
        lease_s: Seconds without renewal after which another may take it over.
        renewals: How often it was renewed.
    """

    owner: str
    who: str
    fence: int
    lease_s: float
    renewals: int = 0

    def to_bytes(self) -> bytes:
        """The object."""
        return (json.dumps(asdict(self)) + "\n").encode()


class HeldLease:
    """A lease that this process holds and renews."""

    def __init__(self, files: Storage, name: str, lease: Lease, version: str, asked_at: float) -> None:
        self._files, self._name, self._version = files, name, version
        self._lease = lease
        self._renewed_at = asked_at
        self._asked_at: float | None = None
        self._lost = ""
        self._renewing = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"petrel-lease-{name}", daemon=True)
        self._thread.start()

    @property
    def fence(self) -> int:
        """Fencing number of this holder."""
        return self._lease.fence

    def check(self) -> None:
        """Check that nobody can have taken it over; call it right before what it protects becomes visible.

        Raises:
            LockLostError: If it was lost, or may be: it could not be renewed in time.
        """
        if not self._is_fresh():
            self._renew()  # this process was held up: whether somebody took it over, the store knows
        if self._lost or not self._is_fresh():
            late_s = time.monotonic() - self._renewed_at
            why = self._lost or f"it could not be renewed for {late_s:.0f} s of its {self._lease.lease_s:g} s"
            raise LockLostError(
                f"{self._name}: the lock was lost ({why}); nothing was written: run again, or raise lease_s of the "
                f"store ({self._files.root}/{_place(self._name)})"
            )

    def release(self) -> None:
        """Let others have it at once; where the store cannot be reached it expires."""
        self._ended.set()
        self._thread.join(RELEASE_S)
        if not self._lost and not self._thread.is_alive():
            released = replace(self._lease, owner="")
            try:
                self._files.put_if_same(_place(self._name), released.to_bytes(), self._version)
            except LoaderError:
                pass

    def _is_fresh(self) -> bool:
        return time.monotonic() - self._renewed_at <= SAFE_SHARE * self._lease.lease_s

    def _keep(self) -> None:
        while not self._lost and not self._ended.wait(self._lease.lease_s / RENEWALS):
            self._renew()

    def _renew(self) -> None:
        with self._renewing:
            if self._lost:
                return
            renewed = replace(self._lease, renewals=self._lease.renewals + 1)
            # Of a renewal that is asked for again the first request counts: it may be the one that was done.
            self._asked_at = time.monotonic() if self._asked_at is None else self._asked_at
            try:
                self._version = self._files.put_if_same(_place(self._name), renewed.to_bytes(), self._version)
            except ChangedFileError:
                self._lost = "somebody took it over or released it"
            except LoaderError:
                pass  # the store may answer the next time
            else:
                self._lease, self._renewed_at, self._asked_at = renewed, self._asked_at, None


@contextmanager
def lease(home: Home, name: str, *, timeout_s: float, lease_s: float) -> Iterator[HeldLease]:
    """Hold the lock `name` of a lake in a bucket.

    Args:
        home: Where the lake is.
        name: Table or resource to lock.
        timeout_s: How long to wait for the holder.
        lease_s: How long it holds without renewal.

    Raises:
        ConcurrentWriteError: If it was not free within `timeout_s`; the message names its holder.
        StorageError: If the bucket refuses, or does not answer.
    """
    held = _taken(home.files, name, timeout_s, lease_s)
    try:
        yield held
    finally:
        held.release()


def check_store(home: Home) -> None:
    """Check that the store of a lake knows conditional writes, without which two writers could both be told yes.

    A store of this kind is asked once by each machine.

    Raises:
        ConfigError: If it does not: it overwrites what it should not, or refuses the request.
    """
    noted = home.folder / "_conditional"
    if home.is_local or home.store.single_writer or noted.exists():
        return
    if wrong := conditional_problem(home.files):
        raise ConfigError(
            f"the store of {home} knows no conditional writes ({wrong}): two writers could lose each other's commits; "
            "use one that does, or where nobody else ever writes to this lake set single_writer = true in its [stores] "
            "table"
        )
    noted.touch()


def conditional_problem(files: Storage) -> str:
    """Return what a store does wrong where a write has a condition; "" if it does as it should.

    Raises:
        StorageError: If it cannot be written to at all.
    """
    name = f"{LOCKS}/probe-{uuid.uuid4().hex}"
    files.put(name, b"")
    files.delete(name)
    try:
        return _unconditional(files, name)
    except StorageError as error:
        return str(error)
    finally:
        files.delete(name)


def _unconditional(files: Storage, name: str) -> str:
    files.put_if_absent(name, b"first")
    version = files.stat(name).version
    try:
        files.put_if_absent(name, b"second")
    except FileExistsError:
        pass
    else:
        return "it wrote over a file that was to be absent"
    files.put_if_same(name, b"third", version)
    try:
        files.put_if_same(name, b"fourth", version)
    except ChangedFileError:
        return ""
    return "it replaced another version than was named"


def leases(files: Storage) -> list[tuple[str, Lease, float]]:
    """Return (name, what it says, seconds since it was renewed) of every lock that somebody holds, by name."""
    found = []
    now = None
    for each in files.list(LOCKS):
        if not each.name.endswith(".json"):
            continue  # a question to the store that a killed process left
        name = each.name.removeprefix(f"{LOCKS}/").removesuffix(".json")
        try:
            held = _parsed(files.read_whole(each.name))
        except FileNotFoundError:
            continue
        if held.owner:
            now = _now(files) if now is None else now
            found.append((name, held, max(0.0, now - (each.modified.timestamp() if each.modified else now))))
    return found


def release_lease(files: Storage, name: str) -> Lease | None:
    """Take a lock from whoever holds it: for people who know that he is gone. Return what it said, None if it is free.

    A holder that is alive notices before its next commit.

    Raises:
        ChangedFileError: If it was renewed or taken over meanwhile.
    """
    try:
        data, found = files.read_told(_place(name))
        held = _parsed(data)
    except FileNotFoundError:
        return None
    if not held.owner:
        return None
    files.put_if_same(_place(name), replace(held, owner="").to_bytes(), found.version)
    return held


def _taken(files: Storage, name: str, timeout_s: float, lease_s: float) -> HeldLease:
    mine = Lease(uuid.uuid4().hex, f"process {os.getpid()} on {platform.node()}", 1, lease_s)
    began, pause_s = time.monotonic(), POLL_S[0]
    seen, seen_at = "", began
    while True:
        holder = None
        asked_at = time.monotonic()
        try:
            data, found = files.read_told(_place(name))
            holder = _parsed(data)
            if found.version != seen:
                # When it was renewed before we came is for the store to tell, once.
                age_s = _now(files) - found.modified.timestamp() if not seen and found.modified and holder.owner else 0
                seen, seen_at = found.version, time.monotonic() - max(0.0, age_s - 1)
            if not holder.owner or time.monotonic() - seen_at > holder.lease_s:
                mine = replace(mine, fence=holder.fence + 1)
                asked_at = time.monotonic()
                version = files.put_if_same(_place(name), mine.to_bytes(), found.version)
                return HeldLease(files, name, mine, version, asked_at)
        except FileNotFoundError:
            if taken := _first_taken(files, name, mine, asked_at):
                return taken
        except ChangedFileError:
            pass  # others are faster: look again
        if time.monotonic() - began >= timeout_s:
            raise ConcurrentWriteError(
                f"{name}: another writer ({holder.who if holder else 'unknown'}) held it for {timeout_s:g} s; wait for "
                f"it, raise engine.lock_timeout_s, or see `petrel locks` ({files.root}/{_place(name)})"
            )
        time.sleep(pause_s * random.uniform(0.5, 1))
        pause_s = min(POLL_S[1], 1.5 * pause_s)


def _first_taken(files: Storage, name: str, mine: Lease, asked_at: float) -> HeldLease | None:
    """Take a lock that nobody ever had; None if others are faster."""
    try:
        files.put_if_absent(_place(name), mine.to_bytes())
        data, found = files.read_told(_place(name))
    except (FileExistsError, FileNotFoundError):
        return None
    return HeldLease(files, name, mine, found.version, asked_at) if _parsed(data).owner == mine.owner else None


def _now(files: Storage) -> float:
    """Return the store's own time, in seconds since 1970: of an object that is written for it."""
    name = f"{LOCKS}/clock-{uuid.uuid4().hex}"
    files.put(name, b"")
    try:
        told = files.stat(name).modified
        return time.time() if told is None else told.timestamp()
    finally:
        files.delete(name)


def _parsed(data: bytes) -> Lease:
    try:
        return Lease(**json.loads(data))
    except (ValueError, TypeError):
        # Nobody writes such a thing: something on the way answered, or it is damaged. It holds like any other.
        return Lease("unreadable", "somebody unknown", 0, UNREADABLE_S)


def _place(name: str) -> str:
    return f"{LOCKS}/{name}.json"
