"""A storage as a file system of pyarrow, for code that is written against one; paths are names in the storage."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import pyarrow as pa
from pyarrow.fs import FileInfo, FileSelector, FileSystemHandler, FileType, PyFileSystem

from loaders.stores.storage import Stat, Storage


def as_arrow(storage: Storage) -> PyFileSystem:
    """Return the storage behind the methods of `pyarrow.fs.FileSystem`; what is written is sent when it is closed."""
    return PyFileSystem(_Handler(storage))


class _Handler(FileSystemHandler):  # type: ignore[misc]
    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Handler) and other._storage is self._storage

    def get_type_name(self) -> str:
        return "petrel"

    def normalize_path(self, path: str) -> str:
        return path.strip("/")

    def get_file_info(self, paths: list[str]) -> list[FileInfo]:
        return [self._info(path.strip("/")) for path in paths]

    def get_file_info_selector(self, selector: FileSelector) -> list[FileInfo]:
        return [_told(each) for each in self._storage.list(selector.base_dir.strip("/"))]

    def create_dir(self, path: str, recursive: bool) -> None:
        """Do nothing: a folder is where files are."""

    def delete_dir(self, path: str) -> None:
        for each in list(self._storage.list(path.strip("/"))):
            self._storage.delete(each.name)

    def delete_dir_contents(self, path: str, missing_dir_ok: bool = False) -> None:
        self.delete_dir(path)

    def delete_root_dir_contents(self) -> None:
        self.delete_dir("")

    def delete_file(self, path: str) -> None:
        self._storage.delete(path.strip("/"))

    def move(self, src: str, dest: str) -> None:
        self.copy_file(src, dest)
        self.delete_file(src)

    def copy_file(self, src: str, dest: str) -> None:
        self._storage.copy(src.strip("/"), dest.strip("/"))

    def open_input_stream(self, path: str) -> pa.NativeFile:
        return self.open_input_file(path)

    def open_input_file(self, path: str) -> pa.NativeFile:
        return pa.PythonFile(io.BufferedReader(_Reader(self._storage, path.strip("/"))), mode="r")

    def open_output_stream(self, path: str, metadata: object) -> pa.NativeFile:
        return pa.PythonFile(_Writer(self._storage, path.strip("/")), mode="w")

    def open_append_stream(self, path: str, metadata: object) -> pa.NativeFile:
        raise NotImplementedError("a storage does not append")

    def _info(self, path: str) -> FileInfo:
        try:
            return _told(self._storage.stat(path))
        except FileNotFoundError:
            is_folder = next(iter(self._storage.list(path)), None) is not None
            return FileInfo(path, FileType.Directory if is_folder else FileType.NotFound)


class _Reader(io.RawIOBase):
    """A file of a storage, read in ranges."""

    def __init__(self, storage: Storage, name: str) -> None:
        self._storage, self._name, self._at, self._size = storage, name, 0, storage.size(name)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        area = memoryview(buffer).cast("B")
        count = max(0, min(area.nbytes, self._size - self._at))
        self._storage.read_into(self._name, self._at, [area[:count]])
        self._at += count
        return count


class _Writer(io.RawIOBase):
    """A file on its way to a storage: kept on the local disk until it is closed."""

    def __init__(self, storage: Storage, name: str) -> None:
        self._storage, self._name = storage, name
        self._kept = tempfile.NamedTemporaryFile(prefix="petrel-")

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._kept.tell()

    def write(self, data: bytes) -> int:  # type: ignore[override]
        return self._kept.write(data)

    def close(self) -> None:
        if not self.closed:
            with self._kept:
                self._kept.flush()
                self._storage.put(self._name, Path(self._kept.name))
        super().close()


def _told(found: Stat) -> FileInfo:
    return FileInfo(found.name, FileType.File, size=found.size)
