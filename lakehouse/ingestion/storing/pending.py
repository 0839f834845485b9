"""What one task of land is to do with its files, and the objects that it writes."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from lakehouse.errors import IngestError, RejectedInputError
from lakehouse.home import Root, home_of
from lakehouse.ingestion.retention.keeper import Decision, Keeper
from lakehouse.ingestion.storing.held import is_held
from lakehouse.objects import objects_of
from loaders.errors import LoaderError
from loaders.stores.staged import Staged
from loaders.stores.storage import Stat, Storage


@dataclass(frozen=True, slots=True)
class StorePlan:
    """What the workers need to know.

    Attributes:
        root: The lake.
        scratch: Folder for temporary files, on the same file system.
        source: Name of the source.
        drop: Name of the delivery.
        mode: copy or link.
        licence: Licence, "" if not stated.
        campaign: Campaign, "" if not stated.
        origin: real, synthetic or augmented.
        max_bytes: Larger files are refused.
        now: Time of the observation.
        allowed_roots: Real paths that links may lead into; empty where links are not followed.
        erased: SHA-256 of bytes that were erased for privacy.
        at_once: Files that a task reads and writes at once; 1 where source and lake are folders.
        keeper: Decides what is kept; None: everything.
        consent: What people agreed to, "" if not stated.
        cadence: How often the source delivers, "" if not stated.
    """

    root: Root
    scratch: str
    source: str
    drop: str
    mode: str
    licence: str
    campaign: str
    origin: str
    max_bytes: int
    now: datetime
    allowed_roots: tuple[bytes, ...] = ()
    erased: frozenset[str] = frozenset()
    at_once: int = 1
    keeper: Keeper | None = None
    consent: str = ""
    cadence: str = ""


class Outcome(NamedTuple):
    """What became of a file: its SHA-256 and the bytes written for it, None if none need be; or why it is refused.

    `now` is what was read, where an object is no longer what was listed; `decision` what the keep policy says.
    """

    sha256: str | None = None
    written: int | None = None
    rule: str | None = None
    reason: str | None = None
    now: Stat | None = None
    decision: Decision | None = None


class Read(NamedTuple):
    """What was read: its SHA-256, the bytes written for it, None if none need be, and whether it is kept."""

    sha256: str
    written: int | None = None
    decision: Decision | None = None

    @property
    def is_dropped(self) -> bool:
        """Whether the keep policy is not for it."""
        return self.decision is not None and not self.decision.is_kept

    def outcome(self, now: Stat | None = None) -> Outcome:
        """Return it as what became of the file."""
        return Outcome(self.sha256, self.written, now=now, decision=self.decision)


@dataclass(frozen=True, slots=True)
class Told:
    """A file as its listing and its sidecar tell of it.

    Attributes:
        uri: As listed.
        name: Last part of its path.
        size: Bytes.
        etag: Version tag; None for a file.
        sidecar_json: What its sidecar says; None if nothing.
    """

    uri: str
    name: str
    size: int
    etag: str | None = None
    sidecar_json: str | None = None


@dataclass(frozen=True, slots=True)
class Pending:
    """The objects of a batch: put one by one in a bucket, named all in one go in a folder.

    Several threads may use one.

    Attributes:
        objects: Where the lake keeps its objects.
        is_conditional: Whether only what is not there can be put: one request then, and not a look before it.
        staged: What is written and has no name yet, by the names that it will have.
    """

    objects: Storage
    is_conditional: bool = False
    staged: dict[str, Staged] = field(default_factory=dict)
    _written: set[str] = field(default_factory=set)
    _writers: dict[str, threading.Lock] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def keep(self, name: str, sha256: str, data: bytes) -> bool:
        """Write a small object; False if it need not be: the lake holds it whole, or wrote it for an equal file."""
        with self.alone(name) as is_new:
            return is_new and self._keep(name, sha256, data)

    def keep_staged(self, name: str, size: int, sha256: str, staged: Staged) -> bool:
        """Take what was written as an object, or discard it; False as `keep`."""
        with self.alone(name) as is_new:
            if not is_new or is_held(self.objects, name, size, sha256):
                staged.discard()
                return False
            if self.objects.is_local:
                self.staged[name] = staged
                return True
            try:
                with writing():
                    self.objects.put(name, staged.path)
            finally:
                staged.discard()
            return True

    @contextmanager
    def alone(self, name: str) -> Iterator[bool]:
        """Let nobody else write this object meanwhile; says whether nobody did before, who came to his end."""
        with self._lock:
            lock = self._writers.setdefault(name, threading.Lock())
        with lock:
            yield name not in self._written
            self._written.add(name)

    def stage(self) -> Staged:
        """Begin an object."""
        with writing():
            return self.objects.stage()

    def _keep(self, name: str, sha256: str, data: bytes) -> bool:
        if self.is_conditional and self._put_if_absent(name, data):
            return True
        if is_held(self.objects, name, len(data), sha256, data):
            return False
        with writing():
            if self.objects.is_local:
                staged = self.staged[name] = self.objects.stage()
                staged.write(data)
            else:
                self.objects.put(name, data)
        return True

    def _put_if_absent(self, name: str, data: bytes) -> bool:
        with writing():
            try:
                self.objects.put_if_absent(name, data)
            except FileExistsError:
                return False
        return True


def pending_of(plan: StorePlan) -> Pending:
    """Return what takes the objects of one batch."""
    home = home_of(plan.root)
    objects = objects_of(home, scratch=plan.scratch)
    return Pending(objects, is_conditional=not home.is_local and not home.store.single_writer)


def check_not_erased(sha256: str, plan: StorePlan) -> None:
    """Refuse bytes that were erased, however they come."""
    if sha256 in plan.erased:
        raise RejectedInputError("erased", "these bytes were erased or expired, and are not taken in again")


def wants_bytes(plan: StorePlan, size: int) -> bool:
    """Say whether a file has to be in memory as a whole, to be measured for the keep policy."""
    return plan.keeper is not None and plan.keeper.wants_bytes(size)


def judged(told: Told, plan: StorePlan, sha256: str, data: bytes | None) -> Read:
    """Return what was read, before anything of it is written: refused if it was erased, with the policy's decision."""
    check_not_erased(sha256, plan)
    decision = None if plan.keeper is None else plan.keeper.decide(sha256, told.name, told.sidecar_json, data)
    return Read(sha256, decision=decision)


@contextmanager
def writing() -> Iterator[None]:
    """What goes wrong inside is the lake's fault (full, gone, read-only), not that of the file being landed."""
    try:
        yield
    except LoaderError as error:  # of the bucket: says where and how often
        raise IngestError(f"cannot write to the lake: {error}; what was committed stays: run again") from error
    except OSError as error:
        where = f" ({os.fsdecode(error.filename)})" if error.filename else ""
        said = error.strerror or error
        raise IngestError(
            f"cannot write to the lake{where}: {said}; what was committed stays, make room and run again"
        ) from error
