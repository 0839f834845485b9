"""Values by key in a folder of a local disk, shared by threads and processes, and still there in the next run."""

from __future__ import annotations

import hashlib
import json
import logging
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from loaders.engine.wire import Writer, restored
from loaders.errors import TransformError
from loaders.petastorm.cache import CacheBase
from loaders.petastorm.kinds import Value
from loaders.stores.disk_cache import DiskCache

logger = logging.getLogger(__name__)

_ALIGN = 64
_NUMBERS = "biufcmM"
_LENGTHS = struct.Struct("<QQ")
"""Of the JSON, and of the arrays behind it."""

_STACK, _PLACES, _COUNT = "\0stack", "\0places", "\0count"
_SETTINGS = ("eviction_policy", "size_limit")
_SETTINGS_OF_DISKCACHE = ("cull_limit", "disk", "sqlite_", "statistics", "tag_index", "timeout")


class LocalDiskCache(CacheBase):
    """Row groups that were made, as arrays and JSON: nothing is pickled. Can be pickled itself.

    What was torn by a crash or damaged is dropped and made again. When it is full, what was not used for the longest
    time makes room.

    Args:
        path: The folder; made if there is none.
        size_limit_bytes: Bytes that it may take.
        expected_row_size_bytes: About the bytes of a value, to check that several fit.
        shards: Counts for that check alone.
        cleanup: Whether `cleanup()` empties the folder.
        settings: Of diskcache, which Petastorm uses. `eviction_policy="none"` keeps nothing more when the cache is
            full; `size_limit` overrides `size_limit_bytes`; others are accepted, without effect.

    Raises:
        ValueError: If fewer than five values fit into a shard.
        TypeError: If path or sizes are missing, or a setting is unknown.
        StorageError: If the folder cannot be made or written.
    """

    def __init__(
        self,
        path: str | Path,
        size_limit_bytes: int,
        expected_row_size_bytes: int,
        shards: int = 6,
        cleanup: bool = False,
        **settings: Any,
    ) -> None:
        unknown = [name for name in settings if name not in _SETTINGS and not name.startswith(_SETTINGS_OF_DISKCACHE)]
        if unknown:
            raise TypeError(f"LocalDiskCache: unknown settings {unknown}")
        if path is None:
            raise TypeError("LocalDiskCache: path must be the name of a folder, found None")
        evicts = settings.get("eviction_policy") != "none"
        if evicts and size_limit_bytes / shards < 5 * expected_row_size_bytes:
            raise ValueError(
                "Condition 'size_limit_bytes / shards < 5 * expected_row_size_bytes' needs to hold, otherwise, newly "
                f"added cached values might end up being immediately evicted: {size_limit_bytes} / {shards} < 5 * "
                f"{expected_row_size_bytes}; make the cache larger"
            )
        self._cleans_up = cleanup
        self._cache = DiskCache(path, settings.get("size_limit", size_limit_bytes), evicts=evicts)
        self._has_warned = False

    def get(self, key: str, fill_cache_func: Callable[[], Value]) -> Value:
        """Return what is kept under a key; else what `fill_cache_func()` returns, and keep it.

        Kept are None, numbers, text, bytes, dates, Decimal, arrays, and lists and dicts of them; of others it is warned
        once, and they are made each time. While one thread or process makes a value, others that want it wait a while.
        """
        digest = hashlib.sha256(key.encode()).digest()
        if (found := self._find(digest)) is not None:
            return found[0]
        with self._cache.fetching(digest):
            if (found := self._find(digest)) is not None:  # another has made it meanwhile
                return found[0]
            value = fill_cache_func()
            try:
                parts = _packed(value)
            except TransformError as error:
                self._warn(error)
            else:
                self._cache.keep(digest, parts)
        return value

    def cleanup(self) -> None:
        """Delete all that is kept, and the folder if nothing else is in it, if the cache was made with `cleanup`."""
        if self._cleans_up:
            self._cache.remove()

    def _find(self, digest: bytes) -> tuple[Value] | None:
        raw = self._cache.read(digest, _memory)
        if raw is None:
            return None
        try:
            return (_unpacked(raw),)
        except (ValueError, TypeError, LookupError, struct.error) as error:
            logger.warning("cache %s: an entry of another version is made again: %r", self._cache.folder, error)
            return None

    def _warn(self, error: TransformError) -> None:
        if not self._has_warned:
            self._has_warned = True
            what = str(error).partition(";")[0]
            logger.warning("cache %s: made each time, since it cannot be kept: %s", self._cache.folder, what)


def _packed(value: Value) -> list[memoryview]:
    """Return two lengths, the JSON of a value, and the bytes of its arrays."""
    value = _stacked(value)
    memory = np.empty(_room_for(value), dtype=np.uint8)
    writer = Writer(memory, 0)
    told = json.dumps(writer.describe(value, "a value to be cached")).encode()
    head = _LENGTHS.pack(len(told), writer.used) + told
    head += bytes(-len(head) % _ALIGN)
    return [memoryview(head), memory[: writer.used].data, *(memoryview(raw) for raw in writer.overflow)]


def _unpacked(raw: memoryview) -> Value:
    told_bytes, memory_bytes = _LENGTHS.unpack_from(raw)
    told = json.loads(bytes(raw[_LENGTHS.size : _LENGTHS.size + told_bytes]))
    begin = -(-(_LENGTHS.size + told_bytes) // _ALIGN) * _ALIGN
    memory = np.frombuffer(raw, dtype=np.uint8)[begin : begin + memory_bytes]
    return _unstacked(restored(told, memory, bytes(raw[begin + memory_bytes :])))


def _stacked(value: Value) -> Value:
    """Replace lists of numpy's numbers, or of arrays of one shape, among them None, by one array each."""
    if isinstance(value, Mapping):
        return {name: _stacked(item) for name, item in value.items()}
    if not isinstance(value, list):
        return value
    items = [item for item in value if item is not None]
    kinds = {(type(item), getattr(item, "dtype", None), getattr(item, "shape", None)) for item in items}
    if len(kinds) != 1:
        return value
    [(kind, dtype, _)] = kinds
    if not issubclass(kind, np.ndarray | np.generic) or dtype is None or dtype.kind not in _NUMBERS:
        return value
    places = np.array([at for at, item in enumerate(value) if item is not None])
    return {_STACK: np.array(items), _PLACES: places, _COUNT: len(value)}


def _unstacked(value: Value) -> Value:
    """Undo `_stacked`. Arrays in lists get memory of their own: who keeps a row keeps no other."""
    if isinstance(value, list):
        return [item.copy() if isinstance(item, np.ndarray) else item for item in value]
    if not isinstance(value, dict):
        return value
    if _STACK not in value:
        return {name: _unstacked(item) for name, item in value.items()}
    items = value[_STACK]
    out: list[Value] = [None] * value[_COUNT]
    for place, item in zip(value[_PLACES].tolist(), items, strict=True):
        out[place] = item.copy() if items.ndim > 1 else item
    return out


def _room_for(value: Value) -> int:
    """Return the bytes that the arrays of a value take at most."""
    if isinstance(value, Mapping):
        return sum(map(_room_for, value.values()))
    if isinstance(value, list | tuple):
        return sum(map(_room_for, value))
    if isinstance(value, bytes):
        return len(value) + _ALIGN
    return value.nbytes + _ALIGN if isinstance(value, np.ndarray | np.generic) else 0


def _memory(length: int) -> memoryview:
    return np.empty(length, dtype=np.uint8).data  # unlike bytearray not filled with zeros first
