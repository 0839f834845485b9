"""The name under which older versions of Petastorm keep the cache of `make_batch_reader`."""

from __future__ import annotations

from loaders.petastorm.local_disk_cache import LocalDiskCache


class LocalDiskArrowTableCache(LocalDiskCache):
    """The same as `LocalDiskCache`, which keeps whole columns too."""
