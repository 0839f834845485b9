"""What a storage is: the files below one folder or prefix, wherever they lie.

`Files` is what a reader needs, `Storage` all that a storage does. `loaders.stores.schemes` says which implementation a
URL has.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from loaders.errors import FormatError, StorageError
from loaders.stores.staged import Staged

Content = bytes | bytearray | memoryview | Path
"""What is written: bytes in memory, or those of a local file."""

ONE_REQUEST_BYTES = 5 << 20
"""Larger content is sent in parts of this size, each within the silence that a server may keep. Parts cannot be made
conditional on the name being free, so that `put_if_absent` sends all at once: 10 s at the default deadline."""

AT_ONCE = 8
"""Files that `Storage.publish` writes or syncs beside one another."""

_SECRETS = ("access_key", "secret_key", "session_token", "key", "secret", "password")


@dataclass(frozen=True, slots=True)
class StorageOptions:
    """How to reach a URL; a local folder needs none of these.

    Attributes:
        deadline_s: Seconds in which a request gets its `part_bytes`, or ends with an error; retries included.
        tries: How often a request is sent before its error is raised; 5xx, 429, timeouts and cut or short answers are
            tried again, after a growing pause.
        hedge_after_s: A request that takes longer than this, and longer than 4 times the median of the last ones, is
            sent once more on another connection; the first answer counts. A file that is written in parts is not.
        part_bytes: A longer read is split into requests of this size (2 MiB).
        parallel: Requests under way at once; `parallel * part_bytes` bytes are in flight at most.
        cache_folder: Local folder in which ranges that were read are kept, shared by all processes of the host; None
            keeps nothing.
        cache_bytes: Size of the cache folder at most (32 GiB).
        filesystem: A file system of `pyarrow.fs` or `fsspec` to use instead of the storage of the URL; the URL is then
            the path in it. It is read only.
        options: Settings of the storage of the URL (`endpoint_override`, `region`, `scheme`, `anonymous`, `profile`,
            `keys_from` ...). Keys and passwords come from the environment, a profile or a role only.
    """

    deadline_s: float = 30.0
    tries: int = 8
    hedge_after_s: float = 1.0
    part_bytes: int = 2 << 20
    parallel: int = 8
    cache_folder: Path | None = None
    cache_bytes: int = 32 << 30
    filesystem: object | None = field(default=None, repr=False)
    options: Mapping[str, object] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if not self.deadline_s > 0 or not self.hedge_after_s > 0:
            raise FormatError("deadline_s and hedge_after_s must be positive")
        if self.tries < 1 or self.parallel < 1:
            raise FormatError(f"tries and parallel must be at least 1, found {self.tries} and {self.parallel}")
        if self.part_bytes < 1 << 16:
            raise FormatError(f"part_bytes must be at least 64 KiB, found {self.part_bytes}")
        if self.cache_bytes < 1:
            raise FormatError(f"cache_bytes must be positive, found {self.cache_bytes}")
        if secrets := sorted(set(self.options) & set(_SECRETS)):
            raise FormatError(
                f"options of a storage must not hold {', '.join(secrets)}; keys come from the environment "
                "(AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY ...), a profile or a role, or hand in a ready `filesystem`"
            )


@dataclass(frozen=True, slots=True)
class Stat:
    """A file of a storage.

    Attributes:
        name: Path below the folder, steps divided by `/`.
        size: Bytes.
        version: ETag, generation or time of change: differs for another content; "" where the storage tells none.
        modified: When it was last written, UTC; buckets tell whole seconds. None where the storage tells none.
    """

    name: str
    size: int
    version: str
    modified: datetime | None = None


class Files(Protocol):
    """The files of one split folder. Safe to use from several threads."""

    root: str
    """Where they lie, for messages: a URL without user, password and query."""

    is_local: bool
    """Whether small reads are cheap; if not, a request costs tens of milliseconds."""

    def size(self, name: str) -> int:
        """Return the bytes of a file.

        Raises:
            FileNotFoundError: If there is none of this name.
            CorruptionError: If it is no regular file.
            StorageError: If the storage refuses.
            DeadlineError: If it does not answer in time.
        """

    def read(self, name: str, start: int, length: int) -> bytes:
        """Return exactly `length` bytes from `start` on; raises like `read_into`."""
        data = bytearray(length)
        self.read_into(name, start, [memoryview(data)])
        return bytes(data)

    def read_into(self, name: str, start: int, parts: Sequence[memoryview]) -> None:
        """Fill `parts`, one after the other, with the bytes from `start` on.

        Raises:
            CorruptionError: If the file ends before; what the parts hold then is undefined.
            FileNotFoundError, StorageError, DeadlineError: Like `size`.
        """

    def close(self) -> None:
        """Give back handles and threads; a read under way ends with its bytes or with an error."""


class Storage(Files, Protocol):
    """The files below one folder or prefix, to read, list and write. A class that inherits it is read-only at first.

    Every write is whole or not at all: readers see the old bytes, the new ones, or no file. All raise StorageError if
    the storage refuses, and DeadlineError if it does not answer in time.
    """

    def stat(self, name: str) -> Stat:
        """Return size and version of a file; raises like `size`."""
        ...

    def size(self, name: str) -> int:
        """Return the bytes of a file; raises like `Files.size`."""
        return self.stat(name).size

    def read_whole(self, name: str, *, most: int | None = None) -> bytes:
        """Return all bytes of a file, or the first `most`; raises like `read_into`."""
        size = self.size(name)
        return self.read(name, 0, size if most is None else min(most, size))

    def read_told(self, name: str) -> tuple[bytes, Stat]:
        """Return all bytes of a file that others replace, and what it is, both of one moment; raises like
        `read_into`.
        """
        raise self._refusal("does not tell which version it reads")

    def list(self, folder: str = "", *, after: str = "") -> Iterator[Stat]:
        """Yield the files below a folder, and below its folders, sorted by name; none if there is no such folder.

        Args:
            folder: Where to look.
            after: Leave out this name, and those that sort before it: a bucket is asked from there on.
        """
        raise self._refusal("lists nothing")

    def unfinished(self) -> Iterator[Stat]:
        """Yield the files that a killed writer never gave their names, which `list` leaves out; their folders may be
        gone. A bucket shows none: parts of an upload that never ended are for its own rules to remove.
        """
        return iter(())

    def put(self, name: str, content: Content) -> None:
        """Write a file, in place of one that is there."""
        raise self._refusal("is read-only")

    def put_in_class(self, name: str, content: Content, storage_class: str) -> None:
        """Write a file, in place of one that is there, in a storage class of its store, as `STANDARD_IA` of S3.

        Raises:
            StorageError: If the store has no classes, or none of this name.
        """
        raise self._refusal("has no storage classes")

    def put_if_absent(self, name: str, content: Content) -> None:
        """Write a file that is not there yet, in one step that of several writers one alone wins.

        Over a network a lost answer is asked for again: whoever must know that it was he who won writes content that
        nobody else writes.

        Raises:
            FileExistsError: If it is there; nothing was changed.
        """
        raise self._refusal("is read-only")

    def put_if_same(self, name: str, content: Content, version: str) -> str:
        """Write a file in place of exactly the version that `Stat` told; return the version that it has then.

        A lost answer is asked for again, as by `put_if_absent`.

        Raises:
            ChangedFileError: If it has another version by now, or is gone; nothing was changed.
        """
        raise self._refusal("cannot replace one version of a file and no other")

    def stage(self) -> Staged:
        """Begin a file whose name is not known yet; it is at rest on a local disk until `publish` names it."""
        return Staged(tempfile.gettempdir())

    def publish(self, staged: Mapping[str, Staged]) -> None:
        """Give staged files their names, in place of what has them; all of them are durable when this returns."""
        with ThreadPoolExecutor(AT_ONCE) as threads:
            for _ in threads.map(lambda each: self.put(each[0], each[1].path), staged.items()):
                pass
        for each in staged.values():
            each.discard()

    def delete(self, name: str) -> None:
        """Delete a file; nothing happens if there is none."""
        raise self._refusal("is read-only")

    def copy(self, name: str, to: str) -> None:
        """Copy a file within the storage, in place of one that is there.

        Raises:
            FileNotFoundError: If there is none of this name.
        """
        raise self._refusal("is read-only")

    def _refusal(self, what: str) -> StorageError:
        return StorageError(f"{self.root} {what}: its storage knows no such request; use a bucket or a local folder")


def exists_in(files: Files, name: str) -> bool:
    """Return whether there is a file of this name."""
    try:
        files.size(name)
    except FileNotFoundError:
        return False
    return True


def forget(files: Files, name: str, start: int, length: int) -> bool:
    """Say that the bytes of a range turned out wrong; True if reading them again may give others.

    A cache drops them, and what came over a network is asked for again; a local file stays what it is.
    """
    if (drop := getattr(files, "forget", None)) is not None:
        drop(name, start, length)
    return not files.is_local


def flat(parts: Sequence[memoryview]) -> list[memoryview]:
    """Return the same memory as views over bytes, without the empty ones."""
    return [part if part.format == "B" and part.ndim == 1 else part.cast("B") for part in parts if part.nbytes]
