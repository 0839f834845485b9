"""Every damaged file of a published folder, not only the first: what `verify` stops at, this goes on after."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from loaders.errors import DeadlineError, LoaderError, StorageError
from loaders.format.digest import row_hashes
from loaders.format.manifest import (
    CARDS,
    COMMON_METADATA,
    DATASET,
    MANIFEST,
    Dataset,
    Manifest,
    read_dataset,
    read_manifest,
)
from loaders.publishing.drafts import names_in, sha256_in
from loaders.reading.source import SplitFiles
from loaders.stores.below import Below
from loaders.stores.schemes import open_storage
from loaders.stores.storage import Storage, exists_in
from schemas.digest import Digest, digest_of


def damages(folder: str | Path | Storage, *, deep: bool = True, touched: Collection[str] = ()) -> Iterator[str]:
    """Yield one sentence for each damaged file of a published version: where, what was expected, what was found.

    Args:
        folder: `datasets/<name>/<version id>`: a path, a URL, or its storage.
        deep: As of `verify`: also every byte, page and row; else names, sizes and manifests.
        touched: Files whose bytes are compared even where it is not deep, as `train/part-00000.parquet`.

    Raises:
        StorageError, DeadlineError: If a bucket refuses or does not answer: that says nothing about the files.
    """
    files = open_storage(folder) if isinstance(folder, str | Path) else folder
    try:
        dataset = read_dataset(files)
        extra = names_in(files) - {DATASET, *CARDS, *dataset.splits}
    except (LoaderError, OSError) as error:
        _raise_if_far(files, error)
        yield f"{files.root}/{DATASET} is damaged: {error}"
        return
    yield from (f"{files.root}/{name}: no manifest lists it; published folders never change" for name in sorted(extra))
    for name in sorted(dataset.splits):
        try:
            yield from _in_split(Below(files, name), name, dataset, deep=deep, touched=touched)
        except (LoaderError, OSError) as error:
            _raise_if_far(files, error)
            yield f"{files.root}/{name} is damaged: {error}"


def _raise_if_far(files: Storage, error: Exception) -> None:
    if not files.is_local and isinstance(error, StorageError | DeadlineError):
        raise error


def _in_split(files: Storage, split: str, dataset: Dataset, *, deep: bool, touched: Collection[str]) -> Iterator[str]:
    entry, path = dataset.splits[split], f"{files.root}/{MANIFEST}"
    found = sha256_in(files, MANIFEST) if exists_in(files, MANIFEST) else "no file"
    if found != entry.manifest_sha256:
        yield f"{path} is damaged: expected SHA-256 {entry.manifest_sha256}, found {found}; its parts were not compared"
        return
    manifest = read_manifest(files)
    said = entry.rows, entry.content_digest, entry.fingerprint
    if said != (manifest.rows, manifest.digest, manifest.fingerprint):
        yield f"{_above(files)}/{DATASET} is damaged: it says other rows of {split} than {path}"
    names = names_in(files)
    if COMMON_METADATA not in names:
        yield f"{files.root}/{COMMON_METADATA} is damaged: expected the schema, found no file"
    for name in sorted(names - {MANIFEST, COMMON_METADATA, *(part.name for part in manifest.parts)}):
        yield f"{files.root}/{name}: no manifest lists it; published folders never change"
    read = {part.name for part in manifest.parts if deep or f"{split}/{part.name}" in touched}
    broken = list(_in_parts(files, manifest, read))
    yield from broken
    if deep and not broken:
        yield from _in_rows(files)


def _above(files: Storage) -> str:
    return files.root.rsplit("/", 1)[0]


def _in_parts(files: Storage, manifest: Manifest, read: Collection[str]) -> Iterator[str]:
    sizes = {} if files.is_local else {told.name: told.size for told in files.list()}
    for part in manifest.parts:
        try:
            size = files.size(part.name) if files.is_local else sizes.get(part.name)
            found = "no file" if size is None else f"{size} bytes" if size != part.bytes else ""
            if part.name in read and not found:
                sha256 = sha256_in(files, part.name)
                found = "" if sha256 == part.sha256 else f"SHA-256 {sha256}"
        except FileNotFoundError:
            found = "no file"
        except (OSError, LoaderError) as error:
            _raise_if_far(files, error)
            found = f"a file that cannot be read ({error})"
        if found:
            path = f"{files.root}/{part.name}"
            yield f"{path} is damaged: expected {part.bytes} bytes of SHA-256 {part.sha256}, found {found}"


def _in_rows(files: Storage) -> Iterator[str]:
    split = SplitFiles(files)
    found = Digest()
    for group in range(len(split.rows_by_group)):
        found += digest_of(row_hashes(split.read_group(group), split.fields))
    if found != split.manifest.digest:
        yield f"{files.root}: expected rows of digest {split.manifest.digest}, as the manifest says, found {found}"
