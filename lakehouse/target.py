"""Where an export goes: claimed by it, and either finished, which a record written last says, or not.

A local folder is filled beside its place and gets its name in one step. A bucket knows no such step: there a prefix
has `_exporting.json` until it has `_export.json`.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lakehouse.errors import ConfigError, IngestError
from lakehouse.home import Home, options_of, store_of
from lakehouse.objects import below
from loaders.errors import AlreadyPublishedError, CorruptionError
from loaders.stores.files import TEMPORARY_PREFIX, rename_folder_no_replace, sync_folder
from loaders.stores.local import LocalFiles, local_folder
from loaders.stores.saying import without_secrets
from loaders.stores.schemes import open_storage
from loaders.stores.storage import Stat, Storage, StorageOptions

RECORD = "_export.json"
CLAIM = "_exporting.json"
SUFFIX = ".exporting"
"""Of the name of a local folder that is not finished."""

FORMAT = 1
SHOWN = 3


@dataclass(slots=True)
class Listing:
    """The files of an export: how many, how large, and a digest of their names and sizes, free of order."""

    files: int = 0
    bytes: int = 0
    digest: int = 0

    def add(self, name: str, size: int) -> None:
        """Count one more file."""
        self.files += 1
        self.bytes += size
        said = hashlib.sha256(f"{size} {name}".encode("utf-8", "surrogateescape")).digest()
        self.digest = (self.digest + int.from_bytes(said[:16])) % (1 << 128)

    def record(self) -> dict[str, object]:
        """Return it as JSON has it."""
        return {"files": self.files, "bytes": self.bytes, "digest": f"{self.digest:032x}"}


@dataclass(slots=True)
class Target:
    """A place that is being filled.

    Attributes:
        storage: Where the files go.
        had: Name -> size of what an earlier run of the same export has written.
        wrote: All files of the export so far, those included.
        bytes_new: Bytes that this run has written.
    """

    storage: Storage
    had: Mapping[str, int]
    folder: Path | None = None
    scratch: Path | None = None
    wrote: Listing = field(default_factory=Listing)
    bytes_new: int = 0

    def has(self, name: str, size: int | None = None) -> bool:
        """Say whether an earlier run has written a file, and count it; of another size it is written again."""
        found = self.had.get(name)
        if found is None or size not in (None, found):
            return False
        self.wrote.add(name, found)
        return True

    def put(self, name: str, path: Path) -> None:
        """Write one file, whole or not at all."""
        self.storage.put(name, path)
        self.count({name: path.stat().st_size})

    def count(self, sizes: Mapping[str, int]) -> None:
        """Count files that were just written."""
        for name, size in sizes.items():
            self.wrote.add(name, size)
            self.bytes_new += size

    def finish(self, record: Mapping[str, object]) -> None:
        """Compare what lies there with what was written, and say that it is whole.

        Raises:
            CorruptionError: If it differs: somebody else writes there, or the storage loses files.
        """
        found = _listed(self.storage.list())
        if found != self.wrote:
            raise CorruptionError(
                f"{self.storage.root}: holds {found.files:,} files of {found.bytes:,} bytes, expected the "
                f"{self.wrote.files:,} of {self.wrote.bytes:,} bytes that were written: does somebody else write "
                "there? Remove it and export again"
            )
        said = {"format_version": FORMAT, **record, **self.wrote.record()}
        self.storage.put(RECORD, json.dumps(said, indent=1, ensure_ascii=False).encode() + b"\n")
        self.storage.delete(CLAIM)
        if self.folder is not None and self.scratch is not None:
            shutil.rmtree(self.scratch, ignore_errors=True)
            if self.folder.is_dir():
                self.folder.rmdir()  # it was empty, or nobody could have begun
            rename_folder_no_replace(Path(self.storage.root), self.folder)
            sync_folder(self.folder.parent)


def open_target(
    to: str | Path, export_id: str, about: Mapping[str, object], *, home: Home, options: StorageOptions | None = None
) -> Target | None:
    """Claim a place for an export, or find there what an earlier run of it has written; None: all of it, finished.

    Args:
        to: Local folder or URL, missing or empty, or with this export.
        export_id: What is exported.
        about: Kept as the claim, its `export_id` with it.
        home: Where the lake is; nothing is exported there.
        options: How to reach a URL; None takes what the configuration says of it ([stores]).

    Raises:
        ConfigError: If the place holds other things, or lies in the lake.
        AlreadyPublishedError: If it holds another export, finished or not.
        CorruptionError: If it holds this one, and files were lost or added since.
        StorageError: If the storage refuses.
    """
    check_outside(to, home)
    folder = local_folder(to)
    if folder is None:
        url = str(to)
        storage = open_storage(url, options_of(store_of(url, home.stores)) if options is None else options)
        return _open_remote(storage, export_id, about)
    folder = folder.absolute()
    final = LocalFiles(folder, kept_open=0)
    there = {each.name: each for each in final.list()}
    if RECORD in there:
        _finished(final, export_id, there.values())
        return None
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise _in_the_way(str(folder), there)
    staging = folder.with_name(folder.name + SUFFIX)
    scratch = staging / f"{TEMPORARY_PREFIX}staged"
    try:
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
    except OSError as error:
        raise ConfigError(f"cannot export to {folder}: {staging} cannot be made ({error.strerror})") from error
    storage = LocalFiles(staging, kept_open=0, scratch=scratch)
    found = {each.name: each for each in storage.list()}
    return _claimed(Target(storage, _sizes(found), folder, scratch), export_id, about, set(found))


def _open_remote(storage: Storage, export_id: str, about: Mapping[str, object]) -> Target | None:
    target = None
    try:
        found = {each.name: each for each in storage.list()}
        if RECORD in found and CLAIM not in found:
            _finished(storage, export_id, found.values())
        else:
            target = _claimed(Target(storage, _sizes(found)), export_id, about, set(found))
    finally:
        if target is None:
            storage.close()
    return target


def _claimed(target: Target, export_id: str, about: Mapping[str, object], names: set[str]) -> Target:
    storage = target.storage
    # Without its claim, and with its record, a local one was killed right before it got its name.
    claim = next((name for name in (CLAIM, RECORD) if name in names), None)
    if claim is None:
        if names:
            raise _in_the_way(storage.root, names)
        said = json.dumps(dict(about), indent=1, ensure_ascii=False)
        try:
            storage.put_if_absent(CLAIM, said.encode() + b"\n")
            return target
        except FileExistsError:
            claim = CLAIM  # somebody else came between
    found = _read(storage, claim).get("export_id")
    if found != export_id:
        raise AlreadyPublishedError(
            f"{storage.root} holds another export ({found}) that was not finished; finish it with its own command, "
            "remove it, or export to another place"
        )
    return target


def _finished(storage: Storage, export_id: str, files: Iterable[Stat]) -> None:
    record = _read(storage, RECORD)
    if record.get("export_id") != export_id:
        raise AlreadyPublishedError(
            f"{storage.root} holds another export ({record.get('format')} {record.get('export_id')}); what is exported "
            "never changes: export to another place, or remove it"
        )
    found = _listed(files).record()
    expected = {name: record.get(name) for name in found}
    if found != expected:
        raise CorruptionError(
            f"{storage.root}: holds {found['files']} files of {found['bytes']} bytes, expected {expected['files']} of "
            f"{expected['bytes']}, as {RECORD} says, or others: files were lost or added; remove it and export again"
        )


def _listed(files: Iterable[Stat]) -> Listing:
    found = Listing()
    for each in files:
        if each.name not in (RECORD, CLAIM):
            found.add(each.name, each.size)
    return found


def _sizes(found: Mapping[str, Stat]) -> dict[str, int]:
    return {name: each.size for name, each in found.items() if name not in (RECORD, CLAIM)}


def _read(storage: Storage, name: str) -> dict[str, object]:
    try:
        found = json.loads(storage.read_whole(name))
    except (ValueError, OSError) as error:
        raise IngestError(f"{storage.root}/{name} cannot be read: {error}; export to another place") from error
    return found if isinstance(found, dict) else {}


def check_outside(to: str | Path, home: Home) -> None:
    """Refuse a place that lies in the lake, or the lake in it.

    Args:
        to: Local folder or file, or URL.
        home: Where the lake is.

    Raises:
        ConfigError: If it does.
    """
    folder = local_folder(to)
    if folder is None:
        is_inside = f"{str(to).rstrip('/')}/".startswith(f"{home.shared.address.rstrip('/')}/")
    else:
        # Of a lake in a bucket it is the copy of its tables on this machine.
        here, there = (os.fsencode(each.resolve()) for each in (folder, home.shared.folder))
        is_inside = below(here, there) or below(there, here)
    if is_inside:
        raise ConfigError(
            f"cannot export to {without_secrets(str(to))}: the lake {home} is there; give a place outside it"
        )


def _in_the_way(place: str, names: Iterable[str]) -> ConfigError:
    found = sorted(names)
    shown = ", ".join(found[:SHOWN]) + (", ..." if len(found) > SHOWN else "")
    return ConfigError(
        f"cannot export to {place}: it holds other things ({shown or 'folders'}); give a new or an empty place"
    )
