"""Reading an object of a bucket to land it: its hash, its bytes or a copy, and proof that all were of one version."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from lakehouse.errors import IngestError, RejectedInputError
from lakehouse.home import home_of, is_one_bucket
from lakehouse.ingestion.sources.prefix import etag_of
from lakehouse.ingestion.storing.held import CHUNK_BYTES, is_held
from lakehouse.ingestion.storing.pending import Outcome, Pending, Read, StorePlan, Told, judged, wants_bytes, writing
from lakehouse.objects import in_bucket, object_uri, placed
from loaders.errors import CorruptionError, DeadlineError, ForbiddenError, StorageError
from loaders.stores.storage import Stat, Storage

READ_BYTES = 8 << 20
"""Bytes of a large object that are in memory at once."""

COPIED_BYTES = 1 << 30
"""A bucket copies objects up to this size by itself: the copy has to end within one deadline. S3 copies 5 GiB."""


@dataclass(frozen=True, slots=True)
class _Object:
    """One version of an object."""

    storage: Storage
    told: Told
    name: str
    size: int
    etag: str | None

    def check_same(self, now: Stat, read: int | None = None) -> None:
        if (now.size, etag_of(now)) != (self.size, self.etag) or read not in (None, self.size):
            raise _changed(f"{self.size} bytes of etag {self.etag} before, {now.size} of etag {etag_of(now)} now")


def store_object(told: Told, plan: StorePlan, pending: Pending) -> Outcome:
    """Read an object of a bucket; what the lake does not hold is written or copied.

    One that is no longer what was listed is read once more as it is now.

    Args:
        told: As listed.
        plan: What to do.
        pending: Takes what is written.

    Raises:
        IngestError: If the bucket does not answer, or the lake cannot be written to: no fault of the object.
    """
    try:
        storage, name = placed(plan.root, told.uri)
        try:
            return _store(_Object(storage, told, name, told.size, told.etag), plan, pending).outcome()
        except RejectedInputError as error:
            if error.rule != "changed_while_reading":
                raise
            now = storage.stat(name)
            return _store(_Object(storage, told, name, now.size, etag_of(now)), plan, pending).outcome(now)
    except RejectedInputError as error:
        return Outcome(rule=error.rule, reason=error.reason)
    except FileNotFoundError:
        return Outcome(rule="vanished", reason="gone since it was listed")
    except ForbiddenError:
        return Outcome(rule="unreadable", reason="cannot be read: the bucket denies it to these keys")
    except (StorageError, DeadlineError) as error:
        raise IngestError(f"cannot read {told.uri}: {error}; what was committed stays, run again") from error


def _store(found: _Object, plan: StorePlan, pending: Pending) -> Read:
    if found.size > plan.max_bytes:
        raise RejectedInputError("too_large", f"{found.size} bytes, limit {plan.max_bytes}")
    small = found.size <= CHUNK_BYTES or wants_bytes(plan, found.size)
    return (_store_small if small else _store_large)(found, plan, pending)


def _store_small(found: _Object, plan: StorePlan, pending: Pending) -> Read:
    data, told = found.storage.read_told(found.name)
    found.check_same(told, len(data))
    sha256 = hashlib.sha256(data).hexdigest()
    read = judged(found.told, plan, sha256, data)
    name = object_uri(sha256)
    is_written = plan.mode == "copy" and not read.is_dropped and pending.keep(name, sha256, data)
    return read._replace(written=len(data) if is_written else None)


def _store_large(found: _Object, plan: StorePlan, pending: Pending) -> Read:
    digest = hashlib.sha256()
    copied = plan.mode == "copy" and found.size <= COPIED_BYTES and _is_beside(plan, found.told.uri)
    staged = pending.stage() if plan.mode == "copy" and not copied else None
    try:
        for start in range(0, found.size, READ_BYTES):
            try:
                chunk = found.storage.read(found.name, start, min(READ_BYTES, found.size - start))
            except CorruptionError as error:
                raise _changed(f"{found.size} bytes when listed, fewer now") from error
            digest.update(chunk)
            if staged is not None:
                with writing():
                    staged.write(chunk)
        # Ranges are not bound to a version: it must be the same after the last as before the first.
        found.check_same(found.storage.stat(found.name))
        sha256 = digest.hexdigest()
        read = judged(found.told, plan, sha256, None)
        if read.is_dropped:
            return read
        name = object_uri(sha256)
        if staged is not None:
            whole, staged = staged, None
            is_written = pending.keep_staged(name, found.size, sha256, whole)
        else:
            is_written = copied and _copy(found, name, sha256, plan, pending)
        return read._replace(written=found.size if is_written else None)
    finally:
        if staged is not None:
            staged.discard()


def _is_beside(plan: StorePlan, uri: str) -> bool:
    """Say whether an object is in the lake's own bucket; obstore asks no bucket to copy from another."""
    home = home_of(plan.root)
    return not home.is_local and is_one_bucket(uri, home.address, home.stores)


def _copy(found: _Object, name: str, sha256: str, plan: StorePlan, pending: Pending) -> bool:
    """Have the bucket copy an object that the lake has not; nothing travels, and what was hashed is what was copied."""
    home = home_of(plan.root)
    with pending.alone(name) as is_new:
        if not is_new or is_held(pending.objects, name, found.size, sha256):
            return False
        _, to = in_bucket(f"{home.address}/{name}", home.stores)
        found.storage.copy(found.name, to)
        try:
            found.check_same(found.storage.stat(found.name))
        except (RejectedInputError, FileNotFoundError):
            with writing():
                home.files.delete(name)  # perhaps other bytes than it would be named by
            raise
        return True


def _changed(said: str) -> RejectedInputError:
    return RejectedInputError("changed_while_reading", f"{said}; land it when it is at rest")
