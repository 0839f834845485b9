"""Compare a published folder with its manifests, byte by byte or row by row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from loaders.errors import CorruptionError, FormatError
from loaders.format.digest import row_hashes
from loaders.format.manifest import CARDS, COMMON_METADATA, DATASET, MANIFEST, read_dataset
from loaders.publishing.drafts import names_in, sha256_in
from loaders.reading.source import SplitFiles
from loaders.stores.below import Below
from loaders.stores.schemes import open_storage
from loaders.stores.storage import Storage, exists_in
from schemas.digest import Digest, digest_of


@dataclass(frozen=True, slots=True)
class Verified:
    """What was compared and found equal.

    Attributes:
        folder: The dataset or the split, a path or a URL.
        splits: Names of the splits.
        files: Parquet files.
        rows: Rows.
        bytes: Bytes of the files.
        is_deep: Whether every byte and every row was read.
    """

    folder: str
    splits: tuple[str, ...]
    files: int
    rows: int
    bytes: int
    is_deep: bool


def verify(folder: str | Path | Storage, *, deep: bool = True) -> Verified:
    """Check a published dataset or one split of it; reading changes nothing.

    Args:
        folder: `datasets/<name>/<version id>`, or a split in it: a path, a URL, or its storage.
        deep: Also compare the SHA-256 of every file, decode every page and recompute the content digest. Else:
            names, sizes and manifests.

    Raises:
        CorruptionError: For the first difference, naming the file; the message counts further broken files.
        FormatError: If the folder is no published dataset.
    """
    files = open_storage(folder) if isinstance(folder, str | Path) else folder
    if not exists_in(files, DATASET):
        return _verify_splits(files, {files.root.rsplit("/", 1)[-1]: files}, deep=deep)
    dataset = read_dataset(files)
    for name, entry in dataset.splits.items():
        manifest = f"{name}/{MANIFEST}"
        found = sha256_in(files, manifest) if exists_in(files, manifest) else "no file"
        if found != entry.manifest_sha256:
            path = f"{files.root}/{manifest}"
            raise CorruptionError(f"{path}: expected SHA-256 {entry.manifest_sha256}, found {found}", file=path)
    _refuse_others(files, {DATASET, *CARDS, *dataset.splits})
    return _verify_splits(files, {name: Below(files, name) for name in sorted(dataset.splits)}, deep=deep)


def _verify_splits(files: Storage, folders: Mapping[str, Storage], *, deep: bool) -> Verified:
    count = rows = size = 0
    for folder in folders.values():
        split = SplitFiles(folder)
        parts = split.manifest.parts
        if not folder.is_local:  # where SplitFiles has not looked, as a request for each part would be dear
            _compare_sizes(folder, split)
        _refuse_others(folder, {MANIFEST, COMMON_METADATA, *(part.name for part in parts)})
        if deep:
            _compare_files(folder, split)
            _compare_rows(split)
        count, rows = count + len(parts), rows + split.manifest.rows
        size += sum(part.bytes for part in parts)
    return Verified(files.root, tuple(folders), count, rows, size, deep)


def _compare_sizes(folder: Storage, split: SplitFiles) -> None:
    sizes = {told.name: told.size for told in folder.list()}
    for part in split.manifest.parts:
        if sizes.get(part.name) != part.bytes:
            path, found = f"{folder.root}/{part.name}", sizes.get(part.name, "no file")
            raise CorruptionError(f"{path}: expected {part.bytes} bytes, found {found}", file=path)


def _compare_files(folder: Storage, split: SplitFiles) -> None:
    broken = [part for part in split.manifest.parts if sha256_in(folder, part.name) != part.sha256]
    if broken:
        path = f"{folder.root}/{broken[0].name}"
        more = f" ({len(broken) - 1} more files of this split differ)" if len(broken) > 1 else ""
        raise CorruptionError(
            f"{path}: the bytes differ from SHA-256 {broken[0].sha256} in the manifest{more}", file=path
        )


def _compare_rows(split: SplitFiles) -> None:
    found = Digest()
    for group in range(len(split.rows_by_group)):
        found += digest_of(row_hashes(split.read_group(group), split.fields))
    if found != split.manifest.digest:
        raise CorruptionError(
            f"{split.folder}: content digest {split.manifest.digest} in the manifest, its rows give {found}",
            file=split.folder,
        )


def _refuse_others(files: Storage, known: set[str]) -> None:
    extra = sorted(names_in(files) - known)
    if extra:
        raise FormatError(f"{files.root} holds {extra[:5]}, which no manifest lists; published folders never change")
