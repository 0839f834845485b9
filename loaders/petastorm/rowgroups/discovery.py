"""Find out what a folder of Parquet holds: its files, and the row groups of each, with as few reads as it takes."""

from __future__ import annotations

import json
import logging
import posixpath
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa

from loaders.errors import CorruptionError, FormatError
from loaders.petastorm.rowgroups.entries import COMMON_METADATA, METADATA, Entry, Listing, is_called_parquet
from loaders.petastorm.rowgroups.footers import LEAST_FILE, MAGIC, Footer, read_footer
from loaders.petastorm.rowgroups.listing import list_files
from loaders.reading.pages import PageError
from loaders.reading.row_group import check_chunks
from loaders.stores.local import LocalFiles
from loaders.stores.schemes import open_files
from loaders.stores.storage import Files, StorageOptions

logger = logging.getLogger(__name__)

COUNTS = b"dataset-toolkit.num_row_groups_per_file.v1"
"""Key of Petastorm's counts in `_common_metadata`: JSON, {file: row groups}."""

_LEAST_ROW_GROUP = 8
"""Bytes that a row group takes in its footer, and more."""

_FEW_FILES = 8


@dataclass(frozen=True, slots=True)
class Known:
    """What was found out; another process that is given it asks nothing again.

    Attributes:
        listing: The files that hold rows.
        options: How they are read.
        counts: Row groups of each file, in the order of the files.
        counted: Files whose row groups are counted in the metadata of the folder.
        metadata: Keys and values of `_common_metadata`, else of `_metadata`.
        schema: What the metadata declares, or all columns once they are known; None: nothing.
        is_schema_known: Whether `schema` holds all columns.
    """

    listing: Listing
    options: StorageOptions = field(repr=False)
    counts: Mapping[str, int] = field(repr=False)
    counted: frozenset[str] = field(repr=False)
    metadata: Mapping[bytes, bytes] = field(repr=False)
    schema: pa.Schema | None = field(repr=False)
    is_schema_known: bool = False


def find_out(
    url_or_urls: str | Path | Sequence[str | Path], options: StorageOptions
) -> tuple[Known, dict[str, Footer]]:
    """Look at a folder; return what was found, and the footers that were read for it; raises like `open_folder`."""
    listing = list_files(url_or_urls, options)
    files = open_listed(listing, options)
    try:
        common, summary = (_sidecar(files, listing, name) for name in (COMMON_METADATA, METADATA))
        counts = _told_counts(listing, common, summary)
        footers = _read_footers(files, listing, counts or {}, options)
    finally:
        files.close()
    if counts is None and not footers:
        raise FormatError(f"{listing.root} holds no Parquet file")
    found = {**(counts or {}), **{name: footer.raw.num_row_groups for name, footer in footers.items()}}
    entries = tuple(entry for entry in listing.entries if entry.name in found)
    told = common or summary
    known = Known(
        listing=replace(listing, entries=entries),
        options=options,
        counts={entry.name: found[entry.name] for entry in entries},
        counted=frozenset(found) - frozenset(footers),
        metadata=dict(told.raw.metadata or {}) if told else {},
        schema=told.schema if told and counts is not None else None,
    )
    return known, footers


def open_listed(listing: Listing, options: StorageOptions) -> Files:
    """Open the files of a listing."""
    if listing.is_local:
        return LocalFiles(listing.root)
    files = open_files(listing.location, replace(options, cache_folder=None))
    if options.cache_folder is None:
        return files
    from loaders.stores.disk_cache import CachedFiles, DiskCache

    versions = {entry.name: entry.version for entry in listing.entries}
    cache = DiskCache(options.cache_folder, options.cache_bytes)
    return CachedFiles(files, cache, version=versions.__getitem__)


def _sidecar(files: Files, listing: Listing, name: str) -> Footer | None:
    return read_footer(files, listing.sidecars[name]) if name in listing.sidecars else None


def _read_footers(
    files: Files, listing: Listing, counts: Mapping[str, int], options: StorageOptions
) -> dict[str, Footer]:
    """Read the footers of the files whose row groups are not counted."""
    unknown = list({entry.name: entry for entry in listing.entries if not counts.get(entry.name)}.values())

    def read(entry: Entry) -> Footer | None:
        return read_footer(files, entry) if listing.is_named or _holds_rows(files, entry) else None

    if files.is_local and len(unknown) <= _FEW_FILES:
        footers = [read(entry) for entry in unknown]
    else:
        with ThreadPoolExecutor(4 if files.is_local else 2 * options.parallel, "petrel-footers") as pool:
            footers = list(pool.map(read, unknown))
    return {entry.name: footer for entry, footer in zip(unknown, footers, strict=True) if footer is not None}


def _holds_rows(files: Files, entry: Entry) -> bool:
    is_parquet = is_called_parquet(entry.name)
    if is_parquet is None:
        is_parquet = entry.size >= LEAST_FILE and files.read(entry.name, entry.size - 4, 4) == MAGIC
        if not is_parquet:
            logger.info("ignored file=%s/%s reason=%s", files.root, entry.name, "no Parquet")
    return is_parquet


def _told_counts(listing: Listing, common: Footer | None, summary: Footer | None) -> dict[str, int] | None:
    """Return the row groups of each file as the metadata of the folder counts them; None if it does not."""
    if summary is not None and summary.raw.num_row_groups:
        source, counts = (
            METADATA,
            _summary_counts(summary, listing.sidecars[METADATA].size, f"{listing.root}/{METADATA}"),
        )
    elif common is not None and COUNTS in (common.raw.metadata or {}):
        source = COMMON_METADATA
        counts = _json_counts(common.raw.metadata[COUNTS], f"{listing.root}/{COMMON_METADATA}")
    else:
        return None
    sizes = {entry.name: entry.size for entry in listing.entries}
    for name, count in counts.items():
        path = f"{listing.root}/{name}"
        if name not in sizes:
            raise CorruptionError(f"{path} is counted in {source} but is missing; was it deleted?", file=path)
        if count * _LEAST_ROW_GROUP > sizes[name]:
            raise FormatError(f"{listing.root}/{source} counts {count:,} row groups in {path} of {sizes[name]:,} bytes")
    return counts


def _summary_counts(summary: Footer, size: int, path: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for at in range(summary.raw.num_row_groups):
        try:
            check_chunks(summary.raw, at, summary.schema.names[:1], size)
        except PageError as error:
            raise CorruptionError(f"{path}: row group {at}: {error}; delete it or write it again", file=path) from error
        name = posixpath.normpath(summary.raw.row_group(at).column(0).file_path)
        counts[name] = counts.get(name, 0) + 1
    return counts


def _json_counts(raw: bytes, path: str) -> dict[str, int]:
    try:
        told = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{path}: {COUNTS.decode()} is no JSON: {error}") from error
    if not isinstance(told, dict) or not all(type(count) is int and count >= 0 for count in told.values()):
        raise FormatError(f"{path}: {COUNTS.decode()} must be an object of counts")
    return {posixpath.normpath(name): count for name, count in told.items()}
