"""Where a reader keeps row groups it has made: nowhere, unless it is told."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from loaders.petastorm.kinds import Value


class CacheBase(ABC):
    """Values by key, made where they are missing."""

    @abstractmethod
    def get(self, key: str, fill_cache_func: Callable[[], Value]) -> Value:
        """Return what is kept under a key; call `fill_cache_func()` if nothing is, and keep what it returns."""


class NullCache(CacheBase):
    """Keeps nothing."""

    def get(self, key: str, fill_cache_func: Callable[[], Value]) -> Value:
        """Return what `fill_cache_func()` returns."""
        return fill_cache_func()
