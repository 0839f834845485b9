"""Put, find and delete files in a folder that a URL names, wherever it lies."""

from __future__ import annotations

import uuid
from contextlib import suppress
from pathlib import Path

from pyarrow.fs import FileSystem, FileType, FSSpecHandler, LocalFileSystem, PyFileSystem

from loaders.petastorm.etl._as_arrow import as_arrow
from loaders.petastorm.rowgroups.listing import local_path
from loaders.stores.files import TEMPORARY_PREFIX, sync_file, sync_folder
from loaders.stores.filesystems import open_filesystem
from loaders.stores.schemes import open_storage
from loaders.stores.storage import StorageOptions

_BUCKETS = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss")


class Place:
    """A folder to write in.

    Attributes:
        store: The file system, one of `pyarrow.fs`.
        path: The folder in it.
    """

    def __init__(self, url: str | Path, *, filesystem: object | None = None) -> None:
        options = StorageOptions(filesystem=filesystem)
        folder = local_path(url, options)
        if folder is not None:
            self.store, self.path = LocalFileSystem(), folder
        elif filesystem is None and str(url).split("://")[0] in _BUCKETS:
            bucket, _, path = str(url).partition("://")[2].partition("/")
            self.store, self.path = as_arrow(open_storage(f"{str(url).split('://')[0]}://{bucket}", options)), path
        else:
            found, path = open_filesystem(str(url), options)
            self.store, self.path = _as_arrow(found), path.rstrip("/")

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
        temporary = folder / f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}-{name}"  # another process may write it too
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
    places = [Place(url) for url in urls]
    found = places[0].store.get_file_info([place.path for place in places])
    return [info.size if info.type == FileType.File else None for info in found]


def _as_arrow(filesystem: FileSystem) -> FileSystem:
    """Return one of `pyarrow.fs` as it is, one of fsspec behind the same methods."""
    return filesystem if isinstance(filesystem, FileSystem) else PyFileSystem(FSSpecHandler(filesystem))
