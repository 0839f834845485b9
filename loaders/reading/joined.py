"""Several splits of one dataset version, read as if they were one. ORDER.md, "Several splits", is the contract."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from loaders.errors import FormatError
from loaders.format.fields import schema_id
from loaders.format.manifest import DATASET, Manifest, read_dataset, read_manifest
from loaders.stores.below import Below
from loaders.stores.schemes import open_storage
from loaders.stores.storage import StorageOptions


def joined_manifest(
    path_or_url: str | Path, splits: Sequence[str], options: StorageOptions
) -> tuple[Manifest, tuple[int, ...]]:
    """Return one manifest of some splits, whose parts are named from the folder of the version.

    Each stratum of each split is one of it: rows of two splits are no more alike than rows of two times.

    Args:
        path_or_url: The folder of a dataset version.
        splits: Names of the splits, in the order in which their rows are numbered.
        options: How to read from a URL.

    Returns:
        The manifest, and the number of the split of each row group, in `splits`.

    Raises:
        FormatError: If the version lacks a split, a split is named twice, or their columns differ.
    """
    if isinstance(splits, str) or not splits or len(set(splits)) != len(splits):
        raise FormatError(f"splits must be a list of names of splits, each once, found {splits!r}")
    files = open_storage(path_or_url, options)
    try:
        known = read_dataset(files).splits
        if missing := [name for name in splits if name not in known]:
            raise FormatError(f"{files.root} has no splits {missing}; it has {sorted(known)}")
        manifests = [read_manifest(Below(files, name)) for name in splits]
        for name, manifest in zip(splits, manifests, strict=True):
            if manifest.sha256 != known[name].manifest_sha256:
                raise FormatError(
                    f"{files.root}/{name} has another manifest than {DATASET} lists; copy the folder again or publish "
                    "the dataset again"
                )
        _check_alike(files.root, splits, manifests)
    finally:
        files.close()
    parts = tuple(
        replace(part, name=f"{name}/{part.name}")
        for name, manifest in zip(splits, manifests, strict=True)
        for part in manifest.parts
    )
    strata = tuple(count for manifest in manifests for count in manifest.all_strata if count)
    numbers = tuple(at for at, manifest in enumerate(manifests) for _ in manifest.row_groups)
    joined = replace(manifests[0], split="+".join(splits), parts=parts, strata=strata if len(strata) > 1 else ())
    return joined, numbers


def _check_alike(root: str, splits: Sequence[str], manifests: Sequence[Manifest]) -> None:
    first = {field.name: field for field in manifests[0].fields}
    for name, manifest in zip(splits[1:], manifests[1:], strict=True):
        if schema_id(manifest.fields) == schema_id(manifests[0].fields) and manifest.classes == manifests[0].classes:
            continue
        theirs = {field.name: field for field in manifest.fields}
        names = [each for each in {**first, **theirs} if first.get(each) != theirs.get(each)]
        what = ", ".join(f"{each} ({first.get(each)} and {theirs.get(each)})" for each in names[:3]) or "their classes"
        raise FormatError(f"{root}: splits {splits[0]} and {name} differ in {what}; read each with a reader of its own")
