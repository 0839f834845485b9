"""The files of a branch: tables, heads and notes of its own, everything else of the lake it is a branch of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from loaders.stores.staged import Staged
from loaders.stores.storage import Content, Stat, Storage

OWN = frozenset({"tables", "_heads", "_runs", "_pins", "_tmp", "_merges", "_branch.json"})
"""First steps of names that a branch has for itself. Objects, published datasets and tombstones are those of all."""


class BranchFiles(Storage):
    """Two storages as one; a name begins with what tells which. Closing it leaves both open."""

    def __init__(self, own: Storage, shared: Storage) -> None:
        self.root, self.is_local = own.root, own.is_local
        self._own, self._shared = own, shared

    def stat(self, name: str) -> Stat:
        return self._of(name).stat(name)

    def size(self, name: str) -> int:
        return self._of(name).size(name)

    def read_whole(self, name: str, *, most: int | None = None) -> bytes:
        return self._of(name).read_whole(name, most=most)

    def read_told(self, name: str) -> tuple[bytes, Stat]:
        return self._of(name).read_told(name)

    def read_into(self, name: str, start: int, parts: Sequence[memoryview]) -> None:
        self._of(name).read_into(name, start, parts)

    def list(self, folder: str = "", *, after: str = "") -> Iterator[Stat]:
        if folder:
            yield from self._of(folder).list(folder, after=after)
            return
        found = [each for each in self._shared.list(after=after) if each.name.partition("/")[0] not in OWN]
        yield from sorted([*found, *self._own.list(after=after)], key=lambda each: each.name)

    def unfinished(self) -> Iterator[Stat]:
        yield from self._own.unfinished()

    def put(self, name: str, content: Content) -> None:
        self._of(name).put(name, content)

    def put_in_class(self, name: str, content: Content, storage_class: str) -> None:
        self._of(name).put_in_class(name, content, storage_class)

    def put_if_absent(self, name: str, content: Content) -> None:
        self._of(name).put_if_absent(name, content)

    def put_if_same(self, name: str, content: Content, version: str) -> str:
        return self._of(name).put_if_same(name, content, version)

    def stage(self) -> Staged:
        return self._shared.stage()

    def publish(self, staged: Mapping[str, Staged]) -> None:
        self._shared.publish(staged)  # objects alone are staged

    def delete(self, name: str) -> None:
        self._of(name).delete(name)

    def copy(self, name: str, to: str) -> None:
        if self._of(name) is self._of(to):
            self._of(to).copy(name, to)
        else:
            self._of(to).put(to, self._of(name).read_whole(name))

    def close(self) -> None:
        """Nothing: others read from the same storages."""

    def _of(self, name: str) -> Storage:
        return self._own if name.partition("/")[0] in OWN else self._shared
