"""Annotations for a bucket: made on a local disk, then sent; a file is an object, a folder has `_export.json` last."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lakehouse.errors import ConfigError
from lakehouse.home import options_of, store_of
from lakehouse.lake import Lake
from lakehouse.opinions.exporting.place import NewPlace
from lakehouse.target import check_outside, open_target
from loaders.stores.files import sha256_file
from loaders.stores.local import local_folder
from loaders.stores.saying import without_secrets
from loaders.stores.schemes import open_storage
from loaders.stores.storage import ONE_REQUEST_BYTES, Storage, StorageOptions
from schemas.canonical import content_id

AT_ONCE = 8
CONTRACT = 1
"""Part of the id of an export of opinions."""


def place_at(lake: Lake, to: str | Path, *, format: str, options: StorageOptions | None = None) -> NewPlace:
    """Return the place that a path, a `file://` URL or a URL of a bucket names; see `NewPlace`.

    Args:
        lake: The lake; nothing is exported into it.
        to: The place.
        format: What is written, for the record of a folder in a bucket.
        options: How to reach a URL; None takes what the configuration says of it ([stores]).

    Raises:
        ConfigError: If it lies in the lake.
    """
    check_outside(to, lake.home)
    folder = local_folder(to)
    if folder is not None:
        return NewPlace(folder)
    return RemotePlace(lake, str(to), format=format, options=options)


class RemotePlace(NewPlace):
    """A prefix or an object of a bucket. Of a prefix `_exporting.json` says that it is not finished."""

    def __init__(self, lake: Lake, url: str, *, format: str, options: StorageOptions | None) -> None:
        super().__init__(lake.scratch / f"export-{uuid.uuid4().hex[:8]}")
        self.shown = without_secrets(url)
        self._url, self._home, self._format = url.rstrip("/"), lake.home, format
        self._options = options_of(store_of(url, lake.home.stores)) if options is None else options

    def finish(self) -> bool:
        """Send what was written; return whether anything changed.

        Raises:
            ConfigError, AlreadyPublishedError: If the place holds other things.
            StorageError, DeadlineError: If the store refuses or does not answer.
        """
        return self._send_file() if self._is_file else self._send_folder()

    def _send_file(self) -> bool:
        parent, _, name = self._url.rpartition("/")
        storage, made = open_storage(parent, self._options), self.made
        try:
            if _holds(storage, name):
                return self._compare(storage, name)
            if made.stat().st_size > ONE_REQUEST_BYTES:
                # In parts: whole or not at all, but whoever came between is not seen.
                storage.put(name, made)
                return True
            try:
                storage.put_if_absent(name, made)
            except FileExistsError:
                return self._compare(storage, name)
            return True
        finally:
            storage.close()

    def _compare(self, storage: Storage, name: str) -> bool:
        if storage.size(name) == self.made.stat().st_size and storage.read_whole(name) == self.made.read_bytes():
            return False
        raise ConfigError(f"cannot export to {self.shown}: it holds other things; give a new place, or remove it")

    def _send_folder(self) -> bool:
        files = {each.relative_to(self.made).as_posix(): each for each in sorted(self._written)}
        held = [[name, sha256_file(file)] for name, file in files.items()]
        export_id = content_id([CONTRACT, "opinions", self._format, held])
        about = {"export_id": export_id, "format": self._format}
        target = open_target(self._url, export_id, about, home=self._home, options=self._options)
        if target is None:
            return False
        try:
            sizes = {name: file.stat().st_size for name, file in files.items()}
            new = [name for name, size in sizes.items() if not target.has(name, size)]
            with ThreadPoolExecutor(AT_ONCE, "petrel-export") as threads:
                list(threads.map(lambda name: target.storage.put(name, files[name]), new))
            target.count({name: sizes[name] for name in new})
            target.finish(about)
        finally:
            target.storage.close()
        return True


def _holds(storage: Storage, name: str) -> bool:
    try:
        storage.size(name)
    except FileNotFoundError:
        return False
    return True
