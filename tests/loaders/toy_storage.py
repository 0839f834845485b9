"""A storage that a package might bring: a dict in memory. It is this file, and one line that names `open_toy`."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from loaders.errors import CorruptionError
from loaders.stores.storage import Content, Stat, Storage, StorageOptions

_toys: dict[str, dict[str, bytes]] = {}


def open_toy(url: str, options: StorageOptions | None) -> Toy:
    """Open `toy://name/folder`."""
    found = urlsplit(url)
    return Toy(url, _toys.setdefault(found.netloc, {}), f"{found.path.strip('/')}/".lstrip("/"))


class Toy(Storage):
    """The bytes of a dict whose names begin with a prefix."""

    is_local = True

    def __init__(self, root: str, kept: dict[str, bytes], prefix: str) -> None:
        self.root, self._kept, self._prefix, self._lock = root, kept, prefix, threading.Lock()

    def stat(self, name: str) -> Stat:
        return Stat(name, len(self._found(name)), str(hash(self._found(name))))

    def read_into(self, name: str, start: int, parts: Sequence[memoryview]) -> None:
        data = self._found(name)[start:]
        for part in parts:
            if len(data) < part.nbytes:
                raise CorruptionError(f"{self.root}/{name} ends too early", file=name)
            part.cast("B")[:], data = data[: part.nbytes], data[part.nbytes :]

    def list(self, folder: str = "", *, after: str = "") -> Iterator[Stat]:
        below = f"{self._prefix}{folder.strip('/')}/" if folder.strip("/") else self._prefix
        names = [name.removeprefix(self._prefix) for name in sorted(self._kept) if name.startswith(below)]
        yield from (self.stat(name) for name in names if name > after)

    def put(self, name: str, content: Content) -> None:
        self._kept[self._prefix + name] = content.read_bytes() if isinstance(content, Path) else bytes(content)

    def put_if_absent(self, name: str, content: Content) -> None:
        with self._lock:
            if self._prefix + name in self._kept:
                raise FileExistsError(f"{self.root}/{name} is there already")
            self.put(name, content)

    def delete(self, name: str) -> None:
        self._kept.pop(self._prefix + name, None)

    def copy(self, name: str, to: str) -> None:
        self.put(to, self._found(name))

    def close(self) -> None:
        """Nothing is open."""

    def _found(self, name: str) -> bytes:
        try:
            return self._kept[self._prefix + name]
        except KeyError:
            raise FileNotFoundError(f"there is no {self.root}/{name}") from None
