"""Compare a published folder with its manifests, byte by byte or row by row."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from loaders.errors import CorruptionError, FormatError
from loaders.format.digest import row_hashes
from loaders.format.manifest import COMMON_METADATA, DATASET, MANIFEST, read_dataset
from loaders.reading.source import SplitFiles
from loaders.stores.files import sha256_file
from schemas.digest import Digest, digest_of


@dataclass(frozen=True, slots=True)
class Verified:
    """What was compared and found equal.

    Attributes:
        folder: The dataset or the split.
        splits: Names of the splits.
        files: Parquet files.
        rows: Rows.
        bytes: Bytes of the files.
        is_deep: Whether every byte and every row was read.
    """

    folder: Path
    splits: tuple[str, ...]
    files: int
    rows: int
    bytes: int
    is_deep: bool


def verify(folder: str | Path, *, deep: bool = True) -> Verified:
    """Check a published dataset or one split of it; reading changes nothing.

    Args:
        folder: `datasets/<name>/<version id>`, or a split in it.
        deep: Also compare the SHA-256 of every file, decode every page and recompute the content digest. Else:
            names, sizes and manifests.

    Raises:
        CorruptionError: For the first difference, naming the file; the message counts further broken files.
        FormatError: If the folder is no published dataset.
    """
    path = Path(folder)
    if not (path / DATASET).exists():
        return _verify_splits(path, {path.name: path}, deep=deep)
    dataset = read_dataset(path)
    for name, entry in dataset.splits.items():
        manifest = path / name / MANIFEST
        found = sha256_file(manifest) if manifest.exists() else "no file"
        if found != entry.manifest_sha256:
            raise CorruptionError(
                f"{manifest}: expected SHA-256 {entry.manifest_sha256}, found {found}", file=str(manifest)
            )
    _refuse_others(path, {DATASET, *dataset.splits})
    return _verify_splits(path, {name: path / name for name in sorted(dataset.splits)}, deep=deep)


def _verify_splits(folder: Path, paths: dict[str, Path], *, deep: bool) -> Verified:
    files = rows = size = 0
    for path in paths.values():
        split = SplitFiles(path)
        parts = split.manifest.parts
        _refuse_others(path, {MANIFEST, COMMON_METADATA, *(part.name for part in parts)})
        if deep:
            _compare_files(split)
            _compare_rows(split)
        files, rows = files + len(parts), rows + split.manifest.rows
        size += sum(part.bytes for part in parts)
    return Verified(folder, tuple(paths), files, rows, size, deep)


def _compare_files(split: SplitFiles) -> None:
    broken = [
        part for part in split.manifest.parts if sha256_file(Path(split.folder) / part.name) != part.sha256
    ]
    if broken:
        path = Path(split.folder) / broken[0].name
        more = f" ({len(broken) - 1} more files of this split differ)" if len(broken) > 1 else ""
        raise CorruptionError(
            f"{path}: the bytes differ from SHA-256 {broken[0].sha256} in the manifest{more}", file=str(path)
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


def _refuse_others(folder: Path, known: set[str]) -> None:
    extra = sorted({entry.name for entry in os.scandir(folder)} - known)
    if extra:
        raise FormatError(f"{folder} holds {extra[:5]}, which no manifest lists; published folders never change")
