"""Which implementation a URL has: one line for each scheme, and one entry point for each that a package brings.

    [project.entry-points."petrel.storage"]
    ftp = "my_package.ftp:open_ftp"

An opener takes the URL and `StorageOptions` and returns a `Storage`; it raises FormatError for a URL or an option that
it does not understand, and asks nothing yet.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from loaders.errors import FormatError
from loaders.stores.local import LocalFiles, local_folder
from loaders.stores.storage import Files, Storage, StorageOptions

Opener = Callable[[str, StorageOptions], Storage]

ENTRY_POINTS = "petrel.storage"
"""Group of the entry points; the name of each is its scheme."""

SCHEMES = {
    "file": "loaders.stores.local:open_local",
    "s3": "loaders.stores.buckets:open_s3",
    "s3a": "loaders.stores.buckets:open_s3",
    "gs": "loaders.stores.buckets:open_gs",
    "gcs": "loaders.stores.buckets:open_gs",
    "az": "loaders.stores.buckets:open_az",
    "abfs": "loaders.stores.buckets:open_az",
    "abfss": "loaders.stores.buckets:open_az",
    "http": "loaders.stores.buckets:open_http",
    "https": "loaders.stores.buckets:open_http",
    "memory": "loaders.stores.buckets:open_memory",
    "hdfs": "loaders.stores.filesystems:open_by_filesystem",
    "viewfs": "loaders.stores.filesystems:open_by_filesystem",
}
"""Loaded at the first URL of the scheme. Another scheme is looked up among the entry points, then in fsspec."""


def open_storage(url: str | Path, options: StorageOptions | None = None) -> Storage:
    """Open the folder or prefix that a path or URL names; nothing is asked yet.

    Raises:
        FormatError: If nothing knows the scheme, or the URL or an option is not understood.
        StorageError: If the storage cannot be made.
    """
    options = options or StorageOptions()
    if options.filesystem is not None:
        return _opener("loaders.stores.filesystems:open_given")(str(url), options)
    if isinstance(url, Path) or "://" not in url:
        return _opener(SCHEMES["file"])(str(url), options)
    scheme = url.split("://", 1)[0].lower()
    return _opener_of(scheme)(url, options)


def open_files(url: str | Path, options: StorageOptions | None = None) -> Files:
    """Open a split folder to read from it, through the disk cache where `options` name one; raises like
    `open_storage`.
    """
    options = options or StorageOptions()
    if options.filesystem is None and (folder := local_folder(url)) is not None:
        return LocalFiles(folder)
    files = open_storage(url, options)
    if files.is_local or options.cache_folder is None:
        return files
    from loaders.stores.disk_cache import CachedFiles, DiskCache

    return CachedFiles(files, DiskCache(options.cache_folder, options.cache_bytes))


def _opener_of(scheme: str) -> Opener:
    if (place := SCHEMES.get(scheme)) is not None:
        return _opener(place)
    from importlib import metadata  # 12 ms, for a scheme that is none of ours

    for point in metadata.entry_points(group=ENTRY_POINTS):
        if point.name == scheme:
            try:
                opener: Opener = point.load()
            except Exception as error:  # a package of the user's: its import may raise anything
                raise FormatError(
                    f"the entry point {point.name} = {point.value} of {ENTRY_POINTS} cannot be loaded: "
                    f"{type(error).__name__}: {error}; repair or uninstall its package"
                ) from error
            return opener
    return _opener("loaders.stores.filesystems:open_by_filesystem")


def _opener(place: str) -> Opener:
    module, name = place.split(":")
    opener: Opener = getattr(import_module(module), name)
    return opener
