"""Put, find and delete files in a folder that a URL names, wherever it lies."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from pyarrow.fs import FileSystem, FileType, FSSpecHandler, LocalFileSystem, PyFileSystem

from loaders.format.files import TEMPORARY_PREFIX, sync_file, sync_folder
from loaders.petastorm.fs_utils import get_filesystem_and_path_or_paths
from loaders.stores.storage import local_folder


class Place:
    """A folder to write in.

    Attributes:
        store: The file system, one of `pyarrow.fs`.
        path: The folder in it.
    """

    def __init__(self, url: str, *, filesystem: object | None = None) -> None:
        folder = None if filesystem is not None else local_folder(url)
        if folder is not None:
            self.store, self.path = LocalFileSystem(), str(folder)
        else:
            found, path = get_filesystem_and_path_or_paths(url, filesystem=filesystem)
            self.store, self.path = _as_arrow(found), str(path).rstrip("/")

    @property
    def is_local(self) -> bool:
        """Whether a rename replaces a file in one step."""
        return isinstance(self.store, LocalFileSystem)

    @property
    def exists(self) -> bool:
        """Whether there is such a folder."""
        return bool(self.store.get_file_info(self.path).type != FileType.NotFound)

    def has(self, name: str) -> bool:
        """Whether there is a file of this name in it."""
        return bool(self.store.get_file_info(f"{self.path}/{name}").type == FileType.File)

    def put(self, name: str, data: bytes) -> None:
        """Write a small file, whole or not at all, in place of one that is there.

        A file system on a network takes it in one request; HDFS, which cannot replace a file by a rename, may be left
        without it by a crash in that instant.
        """
        if not self.is_local:
            with self.store.open_output_stream(f"{self.path}/{name}") as stream:
                stream.write(data)
            with suppress(OSError):
                self.store.delete_file(f"{self.path}/.{name}.crc")
            return
        folder = Path(self.path)
        temporary = folder / f"{TEMPORARY_PREFIX}{name}"
        try:
            temporary.write_bytes(data)
            sync_file(temporary)
            # Hadoop's checksum of the file before it: Spark would take the new one for a damaged one.
            (folder / f".{name}.crc").unlink(missing_ok=True)
            temporary.replace(folder / name)
            sync_folder(folder)
        finally:
            temporary.unlink(missing_ok=True)

    def delete(self) -> None:
        """Delete the folder with all it holds, if it is there."""
        if self.exists:
            self.store.delete_dir(self.path)


def delete_folder(url: str) -> None:
    """Delete a folder with all it holds, if it is there."""
    Place(url).delete()


def sizes(urls: list[str]) -> list[int | None]:
    """Return the bytes of each file, None for one that is not there (yet)."""
    if not urls:
        return []
    folders = [local_folder(url) for url in urls]
    if None in folders:
        found, paths = get_filesystem_and_path_or_paths(urls)
        store = _as_arrow(found)
    else:
        store, paths = LocalFileSystem(), folders
    return [info.size if info.type == FileType.File else None for info in store.get_file_info([*map(str, paths)])]


def _as_arrow(filesystem: Any) -> FileSystem:
    """Return one of `pyarrow.fs` as it is, one of fsspec behind the same methods."""
    if isinstance(filesystem, FileSystem):
        return filesystem
    protocols = filesystem.protocol if isinstance(filesystem.protocol, tuple | list) else (filesystem.protocol,)
    return LocalFileSystem() if "file" in protocols else PyFileSystem(FSSpecHandler(filesystem))
