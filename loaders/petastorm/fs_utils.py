"""URLs, the file systems they name, and the dataset that lies there."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from urllib.parse import ParseResult, urlparse, urlunparse

from loaders.petastorm.kinds import FileSystem, Row, Settings
from loaders.petastorm.rowgroups.folder import ParquetFolder, open_folder
from loaders.stores.storage import StorageOptions

Url = str | Path
_ONE_SLASH = re.compile(r"^file:/(?!/)", re.IGNORECASE)  # as Hadoop writes it
_S3_NAMES = {
    "key": "access_key", "secret": "secret_key", "token": "session_token", "anon": "anonymous",
    "endpoint_url": "endpoint_override", "region_name": "region",
}  # fmt: skip
_OBSTORE_NAMES = {
    "key": "access_key_id", "secret": "secret_access_key", "token": "session_token", "anon": "skip_signature",
    "endpoint_url": "endpoint", "region_name": "region",
}  # fmt: skip


class FilesystemResolver:
    """The file system of a URL: pyarrow's for `hdfs`, fsspec's for others; without fsspec, pyarrow's for `file` too."""

    def __init__(
        self,
        dataset_url: str | ParseResult,
        hadoop_configuration: Mapping[str, str] | None = None,
        connector: FileSystem = None,
        hdfs_driver: str = "libhdfs3",
        user: str | None = None,
        storage_options: Settings | None = None,
    ) -> None:
        """Connect.

        Args:
            dataset_url: URL with a scheme.
            hadoop_configuration: Properties that are set beside those of the cluster's files.
            connector: Something with `hdfs_connect_namenode(url, driver, user=...)` to connect with instead.
            hdfs_driver: Given to `connector` only: there is one driver, Hadoop's own.
            user: Name in HDFS; None: who runs this.
            storage_options: Arguments for the file system of fsspec.

        Raises:
            ValueError: If the URL has no scheme, or names no bucket.
        """
        parsed = urlparse(dataset_url) if isinstance(dataset_url, str) else dataset_url
        if not parsed.scheme:
            raise ValueError(_scheme_less(urlunparse(parsed)))
        self._parsed_dataset_url = parsed
        self._make = partial(_filesystem, parsed, hadoop_configuration, connector, hdfs_driver, user, storage_options)
        self._filesystem = self._make()

    def filesystem(self) -> FileSystem:
        """Return the file system."""
        return self._filesystem

    def filesystem_factory(self) -> FileSystem:
        """Return a function that makes the file system anew, in this process or another."""
        return self._make

    def parsed_dataset_url(self) -> ParseResult:
        """Return the URL in its parts."""
        return self._parsed_dataset_url

    def get_dataset_path(self) -> str:
        """Return the path in the file system."""
        return get_dataset_path(self._parsed_dataset_url)

    def __getstate__(self) -> object:
        raise RuntimeError("Pickling FilesystemResolver is not supported; make one where it is needed")

def get_dataset_path(parsed_url: ParseResult) -> str:
    """Return the path of a URL in its file system: with the bucket, where there are buckets."""
    if parsed_url.scheme.lower() in ("", "file", "hdfs"):
        return parsed_url.path
    try:
        from fsspec.core import strip_protocol
    except ImportError:
        return f"{parsed_url.netloc}{parsed_url.path}"
    return str(strip_protocol(urlunparse(parsed_url)))


def get_filesystem_and_path_or_paths(
    url_or_urls: str | list[str],
    hdfs_driver: str = "libhdfs3",
    storage_options: Settings | None = None,
    filesystem: FileSystem = None,
) -> tuple[FileSystem, str | list[str]]:
    """Return the file system of a URL, or of a list of URLs, and the paths in it.

    Raises:
        ValueError: If the URLs of a list have different schemes or hosts.
    """
    urls = url_or_urls if isinstance(url_or_urls, list) else [url_or_urls]
    _check_alike(urls)
    if filesystem is None:
        resolver = FilesystemResolver(urls[0], hdfs_driver=hdfs_driver, storage_options=storage_options)
        filesystem = resolver.filesystem()
    paths = [get_dataset_path(urlparse(url)) for url in urls]
    return filesystem, paths if isinstance(url_or_urls, list) else paths[0]


def normalize_dir_url(dataset_url: str) -> str:
    """Return a URL without the `/` at its end.

    Raises:
        ValueError: If it is no text.
    """
    if not isinstance(dataset_url, str) or not dataset_url:
        raise ValueError(f"directory url must be a string, found {dataset_url!r}")
    return dataset_url[:-1] if dataset_url.endswith("/") else dataset_url


def normalize_dataset_url_or_urls(dataset_url_or_urls: Url | Sequence[Url]) -> str | list[str]:
    """Return a URL or each of a list without the `/` at its end; a path is as good as a URL.

    Raises:
        ValueError: If the list is empty, or something is no text.
    """
    if not isinstance(dataset_url_or_urls, list | tuple):
        return normalize_dir_url(_text(dataset_url_or_urls))
    if not dataset_url_or_urls:
        raise ValueError("dataset url list must be non-empty.")
    return [normalize_dir_url(_text(url)) for url in dataset_url_or_urls]


def open_dataset(
    url_or_urls: Url | Sequence[Url],
    *,
    hdfs_driver: str = "libhdfs3",
    storage_options: Settings | None = None,
    filesystem: FileSystem = None,
) -> ParquetFolder:
    """Open the folder, the file or the files that a reader is asked for.

    Args:
        url_or_urls: URL or path of a folder or a file, or a list of those of files, of one scheme and host.
        hdfs_driver: Without meaning: there is one driver, Hadoop's own.
        storage_options: Arguments for the file system of fsspec.
        filesystem: A file system of pyarrow or fsspec to use instead.

    Raises:
        ValueError: If there is no URL, one has no scheme and is no path, or they do not belong together.
        FormatError, CorruptionError, StorageError, DeadlineError: Like `open_folder`.
    """
    normalized = normalize_dataset_url_or_urls(url_or_urls)
    urls = normalized if isinstance(normalized, list) else [normalized]
    urls = [_ONE_SLASH.sub("file:///", url) for url in urls]
    urls = [url.replace("s3a://", "s3://", 1) if url.startswith("s3a://") else url for url in urls]
    _check_alike(urls)
    scheme = urlparse(urls[0]).scheme.lower() if "://" in urls[0] else ""
    if filesystem is None and not scheme:
        for url in urls:
            if not os.path.isabs(url) and not os.path.exists(url):
                raise ValueError(_scheme_less(url))
    if filesystem is None and (scheme in ("hdfs", "memory") or (storage_options and scheme not in ("", "file"))):
        filesystem = _to_read(urls[0], storage_options)
    options = StorageOptions(filesystem=filesystem)
    return open_folder(urls if isinstance(normalized, list) else urls[0], options=options)


def _text(url: object) -> str:
    return str(url) if isinstance(url, Path) else url  # type: ignore[return-value]  # refused where it is none


def _check_alike(urls: list[str]) -> None:
    parsed = [urlparse(url) if "://" in url else ParseResult("", "", url, "", "", "") for url in urls]
    if len({(each.scheme, each.netloc) for each in parsed}) > 1:
        raise ValueError("The dataset url list must contain url with the same scheme and netloc.")


def _scheme_less(url: str) -> str:
    return (
        f'ERROR! A scheme-less dataset url ({url}) is no longer supported. Please prepend "file://" for a local path.'
    )


def _filesystem(
    url: ParseResult,
    configuration: Mapping[str, str] | None,
    connector: FileSystem,
    driver: str,
    user: str | None,
    storage_options: Settings | None,
) -> FileSystem:
    if url.scheme == "file":
        return _local()
    if url.scheme == "hdfs":
        return _hdfs(url, configuration, connector, driver, user)
    if not url.netloc:
        raise ValueError(f"URLs must be of the form {url.scheme}://bucket/path")
    return _by_fsspec(url, dict(storage_options or {}))


def _local() -> FileSystem:
    """Return fsspec's: it has the methods `exists`, `ls`, `open` of the one that Petastorm gave."""
    try:
        from fsspec.implementations.local import LocalFileSystem
    except ImportError:
        from pyarrow.fs import LocalFileSystem
    return LocalFileSystem()


def _hdfs(
    url: ParseResult, configuration: Mapping[str, str] | None, connector: FileSystem, driver: str, user: str | None
) -> FileSystem:
    if connector is not None:
        return connector.hdfs_connect_namenode(url, driver, user=user)
    from pyarrow.fs import HadoopFileSystem

    # 0: the port is looked up where "default" or the name of a cluster of several name nodes is given.
    extra = dict(configuration) if configuration else None
    return HadoopFileSystem(url.hostname or "default", url.port or 0, user=user, extra_conf=extra)


def _by_fsspec(url: ParseResult, storage_options: Row) -> FileSystem:
    try:
        from fsspec import get_filesystem_class

        kind = get_filesystem_class(url.scheme)
    except ImportError:
        if url.scheme not in ("s3", "s3a", "gs", "gcs"):
            raise
        return _by_arrow(url, storage_options)
    return kind(**{**kind._get_kwargs_from_urls(urlunparse(url)), **storage_options})


def _to_read(url: str, storage_options: Settings | None) -> FileSystem:
    """Return the file system of a URL; of a bucket without s3fs, a store of obstore: pyarrow's client is not sound."""
    made = FilesystemResolver(url, storage_options=storage_options).filesystem()
    if type(made).__name__ != "S3FileSystem" or not type(made).__module__.startswith("pyarrow"):
        return made
    from obstore.store import S3Store

    given = {**(storage_options or {}), **(storage_options or {}).get("client_kwargs", {})}
    config: Row = {ours: given[name] for name, ours in _OBSTORE_NAMES.items() if name in given}
    return S3Store(urlparse(url).netloc, **config, client_options={"allow_http": True})


def _by_arrow(url: ParseResult, storage_options: Row) -> FileSystem:
    """Return pyarrow's file system, where the driver of fsspec is not installed."""
    if url.scheme not in ("s3", "s3a"):
        from pyarrow.fs import GcsFileSystem

        return GcsFileSystem(**storage_options)
    from pyarrow.fs import S3FileSystem

    given = {**storage_options, **storage_options.get("client_kwargs", {})}
    given.pop("client_kwargs", None)
    if unknown := sorted(set(given) - set(_S3_NAMES)):
        raise ValueError(f"storage_options {unknown} are those of s3fs: pip install s3fs, or pass a filesystem")
    return S3FileSystem(**{_S3_NAMES[name]: value for name, value in given.items()})
