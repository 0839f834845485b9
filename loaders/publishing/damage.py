"""Every damaged file of a published folder, not only the first: what `verify` stops at, this goes on after."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path

from loaders.errors import LoaderError
from loaders.format.digest import row_hashes
from loaders.format.manifest import COMMON_METADATA, DATASET, MANIFEST, Dataset, Manifest, read_dataset, read_manifest
from loaders.reading.source import SplitFiles
from loaders.stores.files import sha256_file
from schemas.digest import Digest, digest_of


def damages(folder: str | Path, *, deep: bool = True, touched: Collection[Path] = ()) -> Iterator[str]:
    """Yield one sentence for each damaged file of a published version: where, what was expected, what was found.

    Args:
        folder: `datasets/<name>/<version id>`.
        deep: As of `verify`: also every byte, page and row; else names, sizes and manifests.
        touched: Files whose bytes are compared even where it is not deep.
    """
    path = Path(folder)
    try:
        dataset = read_dataset(path)
        extra = set(os.listdir(path)) - {DATASET, *dataset.splits}
    except (LoaderError, OSError) as error:
        yield f"{path / DATASET} is damaged: {error}"
        return
    yield from (f"{path / name}: no manifest lists it; published folders never change" for name in sorted(extra))
    for name in sorted(dataset.splits):
        try:
            yield from _in_split(path / name, dataset, deep=deep, touched=touched)
        except (LoaderError, OSError) as error:
            yield f"{path / name} is damaged: {error}"


def _in_split(folder: Path, dataset: Dataset, *, deep: bool, touched: Collection[Path]) -> Iterator[str]:
    entry, path = dataset.splits[folder.name], folder / MANIFEST
    found = sha256_file(path) if path.exists() else "no file"
    if found != entry.manifest_sha256:
        yield f"{path} is damaged: expected SHA-256 {entry.manifest_sha256}, found {found}; its parts were not compared"
        return
    manifest = read_manifest(folder)
    said = entry.rows, entry.content_digest, entry.fingerprint
    if said != (manifest.rows, manifest.digest, manifest.fingerprint):
        yield f"{folder.parent / DATASET} is damaged: it says other rows of {folder.name} than {path}"
    names = set(os.listdir(folder))
    if COMMON_METADATA not in names:
        yield f"{folder / COMMON_METADATA} is damaged: expected the schema, found no file"
    for name in sorted(names - {MANIFEST, COMMON_METADATA, *(part.name for part in manifest.parts)}):
        yield f"{folder / name}: no manifest lists it; published folders never change"
    broken = list(_in_parts(folder, manifest, deep=deep, touched=touched))
    yield from broken
    if deep and not broken:
        yield from _in_rows(folder)


def _in_parts(folder: Path, manifest: Manifest, *, deep: bool, touched: Collection[Path]) -> Iterator[str]:
    for part in manifest.parts:
        path = folder / part.name
        try:
            size = path.stat().st_size
            found = f"{size} bytes" if size != part.bytes else ""
            if (deep or path in touched) and not found:
                sha256 = sha256_file(path)
                found = "" if sha256 == part.sha256 else f"SHA-256 {sha256}"
        except FileNotFoundError:
            found = "no file"
        except OSError as error:
            found = f"a file that cannot be read ({error.strerror})"
        if found:
            yield f"{path} is damaged: expected {part.bytes} bytes of SHA-256 {part.sha256}, found {found}"


def _in_rows(folder: Path) -> Iterator[str]:
    split = SplitFiles(folder)
    try:
        found = Digest()
        for group in range(len(split.rows_by_group)):
            found += digest_of(row_hashes(split.read_group(group), split.fields))
        if found != split.manifest.digest:
            yield f"{folder}: expected rows of digest {split.manifest.digest}, as the manifest says, found {found}"
    finally:
        split.close()
