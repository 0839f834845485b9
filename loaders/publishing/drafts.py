"""Where a version is written before anybody sees it, and the one step in which it appears.

On a local disk it is gathered in a staging folder, which a rename makes the published one. A bucket renames nothing:
there files lie under their final names from the start, and count from the moment at which `_dataset.json` is put.
"""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from loaders.errors import FormatError
from loaders.format.manifest import COMMON_METADATA, DATASET, MANIFEST, UNFINISHED
from loaders.stores.files import (
    TEMPORARY_PREFIX,
    rename_folder_no_replace,
    sha256_file,
    stamp_of,
    sync_file,
    sync_folder,
    write_durably,
)
from loaders.stores.local import LocalFiles, local_folder
from loaders.stores.schemes import open_storage
from loaders.stores.storage import Stat, Storage, exists_in

RECEIPTS = "_receipts"
"""Folder in a draft that says which parts are complete."""

Stamp = str | list[int]
"""Is another once somebody has written to a file; as JSON has it."""

_CHUNK_BYTES = 8 << 20

_UNFINISHED_TEXT = b"Being published: this split counts once ../_dataset.json is there.\n"


class Draft(Protocol):
    """A version on its way. Names are those of the published folder; travels to other processes."""

    @property
    def files(self) -> Storage:
        """What is there so far."""
        ...

    @property
    def target(self) -> Storage:
        """The published folder, which may be missing."""
        ...

    def is_taken(self) -> bool:
        """Return whether something stands in the place of the published folder."""
        ...

    def is_sealed(self) -> bool:
        """Return whether nothing can be added to the draft, as what lies there is published by now."""
        ...

    def writing(self, name: str) -> AbstractContextManager[Path]:
        """Give a local path; the file that is written there during the block has its name in the draft after it.

        Unless the draft is sealed: then it is dropped.
        """
        ...

    def take_over(self, place: str, name: str) -> None:
        """Give a published file a name in the draft too: nothing of it is read or written here.

        Args:
            place: From the folder that holds the versions: `<version id>/<split>/<file>`.
            name: In the draft.

        Raises:
            FileNotFoundError: If there is none.
        """
        ...

    def put(self, name: str, data: bytes) -> None:
        """Write a small file, whole and durable."""
        ...

    def begin(self, split: str, kept: Collection[str]) -> None:
        """Prepare a split for its manifest: remove what killed or older runs left in it, other than these files."""
        ...

    def appear(self, text: str, splits: Collection[str]) -> None:
        """Make the version seen, in one step, with this `_dataset.json` and these splits.

        Raises:
            FileExistsError: If the target is there; it was not changed.
        """
        ...

    def discard(self) -> None:
        """Remove what is left of the draft beside a version that is published."""
        ...


@dataclass(frozen=True)
class LocalDraft:
    """A staging folder on the file system of the published one."""

    staging: Path
    folder: Path

    @property
    def files(self) -> Storage:
        return LocalFiles(self.staging, kept_open=0)

    @property
    def target(self) -> Storage:
        return LocalFiles(self.folder, kept_open=0)

    def is_taken(self) -> bool:
        return self.folder.exists()

    def is_sealed(self) -> bool:
        return False

    def writing(self, name: str) -> AbstractContextManager[Path]:
        return nullcontext(self.staging / name)

    def take_over(self, place: str, name: str) -> None:
        source, path = self.folder.parent / place, self.staging / name
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}-{path.name}")
        try:
            try:
                os.link(source, temporary)
            except FileNotFoundError:
                raise
            except OSError:  # a file system without links, or with too many of this file
                shutil.copyfile(source, temporary)
                sync_file(temporary)
            os.replace(temporary, path)
        finally:
            # A rename of one link over another of the same file leaves both.
            temporary.unlink(missing_ok=True)
        sync_folder(path.parent)

    def put(self, name: str, data: bytes) -> None:
        path = self.staging / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_durably(path, data)
        sync_folder(path.parent)

    def begin(self, split: str, kept: Collection[str]) -> None:
        _remove_others(self.staging / split, kept)

    def appear(self, text: str, splits: Collection[str]) -> None:
        write_durably(self.staging / DATASET, text.encode())
        shutil.rmtree(self.staging / RECEIPTS, ignore_errors=True)
        _remove_others(self.staging, {DATASET, *splits})
        sync_folder(self.staging)
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        rename_folder_no_replace(self.staging, self.folder)
        sync_folder(self.folder.parent)

    def discard(self) -> None:
        if self.staging.exists() and self.staging.resolve() != self.folder.resolve():
            shutil.rmtree(self.staging)


def opened(url: str) -> Storage:
    """Return the storage of a URL that needs no settings; one for all callers of a process."""
    return _opened(url, os.getpid())


@functools.lru_cache(maxsize=32)
def _opened(url: str, process: int) -> Storage:
    # By process: a client that was made before a fork is of no use after it.
    return open_storage(url)


@dataclass(frozen=True)
class BucketDraft:
    """The published folder itself, in a bucket, before its `_dataset.json` is there.

    Attributes:
        url: The folder.
        open: Returns its storage; picklable if tasks run elsewhere.
        scratch: Local folder for parts before they are uploaded, of machines that have it; else the system's.
    """

    url: str
    open: Callable[[str], Storage] = opened
    scratch: str | None = None

    @property
    def files(self) -> Storage:
        return self.open(self.url)

    @property
    def target(self) -> Storage:
        return self.files

    def is_taken(self) -> bool:
        return exists_in(self.files, DATASET)

    def is_sealed(self) -> bool:
        return self.is_taken()

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        beside = self.scratch if self.scratch and os.path.isdir(self.scratch) else None
        with tempfile.TemporaryDirectory(prefix="petrel-part-", dir=beside) as folder:
            path = Path(folder) / name
            path.parent.mkdir(parents=True)
            yield path
            if not self.is_sealed():
                self.files.put(name, path)

    def take_over(self, place: str, name: str) -> None:
        above, _, version = self.url.rstrip("/").rpartition("/")
        self.open(above).copy(place, f"{version}/{name}")

    def put(self, name: str, data: bytes) -> None:
        self.files.put(name, data)

    def begin(self, split: str, kept: Collection[str]) -> None:
        # The mark comes before the manifest and goes after `_dataset.json`: a reader that finds a manifest and no mark
        # knows that the version is published. An older manifest is replaced, never missing: of two publishers one may
        # have finished meanwhile.
        self.files.put(f"{split}/{UNFINISHED}", _UNFINISHED_TEXT)
        ours = {f"{split}/{name}" for name in (*kept, UNFINISHED, MANIFEST, COMMON_METADATA)}
        for told in list(self.files.list(split)):
            if told.name not in ours:
                self.files.delete(told.name)

    def appear(self, text: str, splits: Collection[str]) -> None:
        for told in list(self.files.list()):
            if told.name.split("/")[0] not in {RECEIPTS, *splits}:
                if told.name == DATASET:
                    raise FileExistsError(f"{self.url}/{DATASET} is there already")
                self.files.delete(told.name)
        self.files.put_if_absent(DATASET, text.encode())
        self.discard()

    def discard(self) -> None:
        for told in list(self.files.list()):
            if is_leftover(told.name):
                self.files.delete(told.name)


def is_leftover(name: str) -> bool:
    """Return whether a file in a published folder of a bucket is one that a draft needed: the next run removes it."""
    steps = name.split("/")
    return steps[0] == RECEIPTS or steps[-1] == UNFINISHED


def mark_unfinished(files: Storage, folder: str) -> None:
    """Mark each split of a version in a bucket: from then on it counts only while its `_dataset.json` is there."""
    for told in list(files.list(folder)):
        above, _, name = told.name.rpartition("/")
        if name == MANIFEST:
            files.put(f"{above}/{UNFINISHED}", _UNFINISHED_TEXT)


def draft_at(folder: str | Path, *, staging: str | Path | None = None) -> Draft:
    """Return the draft of a folder that a path or a URL names; by default it is gathered in `<folder>.staging`.

    Raises:
        FormatError: If a staging folder is named for a bucket, which needs none, or nothing knows the scheme.
    """
    local = local_folder(folder)
    if local is not None:
        beside = local.with_name(f"{local.name}.staging") if staging is None else local_folder(staging)
        if beside is None:
            raise FormatError(f"{staging} is no staging folder of {folder}: it must lie on the same file system")
        return LocalDraft(beside, local)
    url = str(folder).rstrip("/")
    if staging is not None and str(staging).rstrip("/") != url:
        raise FormatError(f"{folder} lies in a bucket, where nothing can be renamed: give it as `staging` too")
    return BucketDraft(url)


def stamp_in(files: Storage, name: str) -> Stamp:
    """Return the stamp of a file; raises as `files.stat`, or OSError."""
    return stamp_of(Path(files.root) / name) if files.is_local else files.stat(name).version


def stamp_told(files: Storage, told: Stat) -> Stamp:
    """Return the stamp of a file that was listed; raises OSError."""
    return stamp_of(Path(files.root) / told.name) if files.is_local else told.version


def sha256_in(files: Storage, name: str) -> str:
    """Return the SHA-256 of a file, 64 hex digits; raises as `files.read`, or OSError."""
    if files.is_local:
        return sha256_file(Path(files.root) / name)
    found, size = hashlib.sha256(), files.size(name)
    for start in range(0, size, _CHUNK_BYTES):
        found.update(files.read(name, start, min(_CHUNK_BYTES, size - start)))
    return found.hexdigest()


def names_in(files: Storage, folder: str = "") -> set[str]:
    """Return the names of files and folders in a folder of a version, without what a draft in a bucket left.

    Raises:
        OSError: If there is no such folder on a local disk.
    """
    if files.is_local:
        return set(os.listdir(Path(files.root) / folder))
    prefix = f"{folder}/" if folder else ""
    found = (told.name for told in files.list(folder) if not is_leftover(told.name))
    return {name.removeprefix(prefix).split("/")[0] for name in found}


def _remove_others(folder: Path, kept: Collection[str]) -> None:
    """Remove what killed or older runs left in our own staging folder."""
    for entry in os.scandir(folder):
        if entry.name in kept:
            continue
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        elif entry.name.startswith((TEMPORARY_PREFIX, "part-", "_")):
            Path(entry.path).unlink()
        else:
            raise FormatError(f"{entry.path} is not a part of this dataset; use a staging folder of its own")
