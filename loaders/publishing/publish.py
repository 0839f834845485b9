"""Turn a staging folder of written parts into a published dataset: all of it at once, or nothing."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pyarrow as pa

from loaders.errors import AlreadyPublishedError, CorruptionError, FormatError
from loaders.format.manifest import DATASET, MANIFEST, Dataset, Manifest, PartReceipt, SplitEntry, read_dataset
from loaders.format.petastorm_metadata import write_common_metadata
from loaders.publishing.planning import DatasetPlan
from loaders.publishing.tasks import RECEIPTS, is_untouched
from loaders.publishing.verification import verify
from loaders.stores.files import (
    TEMPORARY_PREFIX,
    rename_folder_no_replace,
    sha256_file,
    sync_folder,
    write_text_durably,
)

logger = logging.getLogger(__name__)

PLAN_ID = "plan_id"
"""Key of the plan's id in the lineage of `_dataset.json`."""


@dataclass(frozen=True, slots=True)
class Published:
    """What lies in a published folder.

    Attributes:
        folder: The folder of the version; each split is a folder in it.
        dataset: Content of `_dataset.json`.
        files: Parquet files of all splits.
        bytes: Size of these files.
        is_new: False if the same content was there before and nothing was written.
    """

    folder: Path
    dataset: Dataset
    files: int
    bytes: int
    is_new: bool

    def __str__(self) -> str:
        splits = ", ".join(f"{name} {entry.rows}" for name, entry in sorted(self.dataset.splits.items()))
        state = "published" if self.is_new else "unchanged"
        return f"{self.folder.name} {state}: {splits}; {self.files} files, {self.bytes:,} bytes"


def find_published(folder: str | Path, plan: DatasetPlan) -> Published | None:
    """Return what is published at `folder` if this very plan made it, without reading rows; else None.

    None does not say that the folder is free: `publish` compares the content then.

    Raises:
        CorruptionError: If files of it are missing or have other sizes.
    """
    target = Path(folder)
    if not (target / DATASET).exists():
        return None
    found = read_dataset(target)
    if found.lineage.get(PLAN_ID) != plan.plan_id:
        return None
    _check_whole(target)
    return _describe(target, found, is_new=False)


def publish(
    plan: DatasetPlan,
    receipts: Mapping[str, PartReceipt],
    *,
    staging: str | Path,
    folder: str | Path,
    lineage: Mapping[str, object] | None = None,
) -> Published:
    """Check every part of a staging folder, describe it, and give it its final name in one rename.

    Can be run again after a kill at any point. A folder that holds the same content already is returned as it is,
    and the staging folder is removed.

    Args:
        plan: What was planned.
        receipts: {task name: receipt} for every task of the plan.
        staging: Where the parts were written; on the file system of `folder`.
        folder: Final folder, `datasets/<name>/<version id>`.
        lineage: JSON object kept in the manifests: where the rows came from.

    Raises:
        AlreadyPublishedError: If the folder holds other content; nothing is changed then.
        CorruptionError: If a part is missing or differs from its receipt.
        FormatError: If a receipt is missing, does not fit its task, or the plan has no rows.
    """
    source, target = Path(staging), Path(folder)
    manifests = _manifests(plan, receipts, lineage or {})
    dataset = Dataset(
        dataset_id=plan.dataset_id,
        splits={name: _entry(manifest) for name, manifest in manifests.items()},
        lineage={**(lineage or {}), PLAN_ID: plan.plan_id},
    )
    if target.exists():
        return _same_or_refused(target, dataset, source)
    for name, manifest in manifests.items():
        _check_parts(source, manifest)
        _remove_others(source / name, {part.name for part in manifest.parts})
        write_common_metadata(source / name, manifest.fields, manifest.parts)
        write_text_durably(source / name / MANIFEST, manifest.to_json())
        sync_folder(source / name)
    write_text_durably(source / DATASET, dataset.to_json())
    shutil.rmtree(source / RECEIPTS, ignore_errors=True)
    _remove_others(source, {DATASET, *manifests})
    sync_folder(source)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        rename_folder_no_replace(source, target)
    except FileExistsError:
        return _same_or_refused(target, dataset, source)
    sync_folder(target.parent)
    result = _describe(target, dataset, is_new=True)
    logger.info(
        "published folder=%s rows=%d files=%d bytes=%d", target.name, dataset.rows, result.files, result.bytes
    )
    return result


def _manifests(
    plan: DatasetPlan, receipts: Mapping[str, PartReceipt], lineage: Mapping[str, object]
) -> dict[str, Manifest]:
    if not plan.tasks:
        raise FormatError("the plan has no rows; a dataset needs at least one")
    parts: dict[str, list[PartReceipt]] = {}
    for task in plan.tasks:
        receipt = receipts.get(task.name)
        if receipt is None:
            raise FormatError(f"{task.name}: no receipt; run its task and publish again")
        if receipt.name != task.part.name or receipt.row_groups != task.part.row_groups:
            raise FormatError(
                f"{task.name}: planned row groups {task.part.row_groups}, its receipt says {receipt.row_groups}"
            )
        parts.setdefault(task.split, []).append(receipt)
    return {
        split: Manifest(
            split=split,
            dataset_id=plan.dataset_id,
            seed=plan.seed,
            fields=plan.fields,
            parts=tuple(found),
            lineage=dict(lineage),
            writer=writer_versions(),
            order_by=plan.order_by,
        )
        for split, found in parts.items()
    }


def writer_versions() -> dict[str, object]:
    """Return what wrote a folder, for people."""
    try:
        ours = version("petrel-lakehouse")
    except PackageNotFoundError:
        ours = "source"
    return {"petrel": ours, "pyarrow": pa.__version__}


def _entry(manifest: Manifest) -> SplitEntry:
    return SplitEntry(manifest.rows, manifest.sha256, manifest.digest, manifest.fingerprint)


def _check_parts(staging: Path, manifest: Manifest) -> None:
    for part in manifest.parts:
        path = staging / manifest.split / part.name
        if is_untouched(staging, manifest.split, part):
            continue
        found = sha256_file(path) if path.exists() else "no file"
        if found != part.sha256:
            raise CorruptionError(
                f"{path}: expected SHA-256 {part.sha256}, found {found}; remove the staging folder and write again",
                file=str(path),
            )


def _remove_others(folder: Path, kept: set[str]) -> None:
    """Remove what killed or older runs left in our own staging folder."""
    for entry in os.scandir(folder):
        if entry.name in kept:
            continue
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        elif entry.name.startswith((TEMPORARY_PREFIX, "part-", "_")):
            Path(entry.path).unlink()
        else:
            raise FormatError(f"{entry.path} is not a part of this dataset; use a staging folder of its own")


def _same_or_refused(target: Path, dataset: Dataset, staging: Path) -> Published:
    if not (target / DATASET).exists():
        raise FormatError(f"{target} is in the way: it is no published dataset, {DATASET} is missing; move it away")
    found = read_dataset(target)
    if not found.same_content(dataset):
        raise AlreadyPublishedError(
            f"{target} holds dataset {found.dataset_id or '(no id)'} with content {found.content_digest}, "
            f"not {dataset.dataset_id or '(no id)'} with {dataset.content_digest}; "
            "what is published never changes: choose another folder or version"
        )
    _check_whole(target)
    if staging.exists() and staging.resolve() != target.resolve():
        shutil.rmtree(staging)
    return _describe(target, found, is_new=False)


def _check_whole(target: Path) -> None:
    try:
        verify(target, deep=False)
    except (CorruptionError, FormatError) as error:
        raise CorruptionError(
            f"{target} is published and damaged: {error}; remove this folder and publish the version again",
            file=str(target),
        ) from error


def _describe(folder: Path, dataset: Dataset, *, is_new: bool) -> Published:
    sizes = [path.stat().st_size for name in dataset.splits for path in (folder / name).glob("part-*.parquet")]
    return Published(folder, dataset, len(sizes), sum(sizes), is_new)
