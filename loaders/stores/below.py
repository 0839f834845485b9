"""The files below a folder of another storage, named from there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from loaders.stores.storage import Content, Stat, Storage


class Below(Storage):
    """A folder of a storage as a storage of its own; closing it leaves the other one open."""

    def __init__(self, files: Storage, folder: str) -> None:
        self.root, self.is_local = f"{files.root}/{folder}", files.is_local
        self._files, self._folder = files, f"{folder}/"

    def stat(self, name: str) -> Stat:
        return self._named(self._files.stat(self._folder + name))

    def size(self, name: str) -> int:
        return self._files.size(self._folder + name)

    def read_whole(self, name: str, *, most: int | None = None) -> bytes:
        return self._files.read_whole(self._folder + name, most=most)

    def read_told(self, name: str) -> tuple[bytes, Stat]:
        data, told = self._files.read_told(self._folder + name)
        return data, self._named(told)

    def read_into(self, name: str, start: int, parts: Sequence[memoryview]) -> None:
        self._files.read_into(self._folder + name, start, parts)

    def list(self, folder: str = "", *, after: str = "") -> Iterator[Stat]:
        below = self._folder + folder
        yield from map(self._named, self._files.list(below.rstrip("/"), after=after and self._folder + after))

    def put(self, name: str, content: Content) -> None:
        self._files.put(self._folder + name, content)

    def put_if_absent(self, name: str, content: Content) -> None:
        self._files.put_if_absent(self._folder + name, content)

    def put_if_same(self, name: str, content: Content, version: str) -> str:
        return self._files.put_if_same(self._folder + name, content, version)

    def delete(self, name: str) -> None:
        self._files.delete(self._folder + name)

    def copy(self, name: str, to: str) -> None:
        self._files.copy(self._folder + name, self._folder + to)

    def close(self) -> None:
        """Nothing: others read from the same storage."""

    def _named(self, told: Stat) -> Stat:
        return replace(told, name=told.name.removeprefix(self._folder))
