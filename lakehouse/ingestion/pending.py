"""What one task of land is to do with its files, and the objects it has written that have no names yet."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from lakehouse.errors import IngestError, RejectedInputError
from lakehouse.home import Root
from lakehouse.ingestion.held import is_held
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
        at_once: Objects of a bucket that a task reads at once; 0 where the source is a folder.
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
    at_once: int = 0


class Outcome(NamedTuple):
    """What became of a file: its SHA-256 and the bytes written for it, None if none need be; or why it is refused.

    `now` is what was read, where an object is no longer what was listed.
    """

    sha256: str | None = None
    written: int | None = None
    rule: str | None = None
    reason: str | None = None
    now: Stat | None = None


@dataclass(frozen=True, slots=True)
class Pending:
    """Objects of a batch that are written and have no names yet, by the names that they will have."""

    objects: Storage
    staged: dict[str, Staged] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def has(self, name: str, size: int, sha256: str, data: bytes | None = None) -> bool:
        """Say whether an object need not be written: it is here, or the lake holds it whole."""
        return name in self.staged or is_held(self.objects, name, size, sha256, data)

    def stage(self) -> Staged:
        """Begin an object."""
        with writing():
            return self.objects.stage()

    def add(self, name: str, staged: Staged) -> None:
        """Take what was written as the object that will have this name; of several equal ones the first is kept."""
        with self._lock:
            kept = self.staged.setdefault(name, staged)
        if kept is not staged:
            staged.discard()


def check_not_erased(sha256: str, plan: StorePlan) -> None:
    """Refuse bytes that were erased, however they come."""
    if sha256 in plan.erased:
        raise RejectedInputError("erased", "these bytes were erased from the lake, and are not taken in again")


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
