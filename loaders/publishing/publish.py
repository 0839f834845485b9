"""Turn a staging folder of written parts into a published dataset: all of it at once, or nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pyarrow as pa

from loaders.errors import AlreadyPublishedError, CorruptionError, FormatError
from loaders.format.manifest import (
    COMMON_METADATA,
    DATASET,
    MANIFEST,
    Dataset,
    Manifest,
    PartReceipt,
    SplitEntry,
    read_dataset,
)
from loaders.format.petastorm_metadata import common_metadata
from loaders.publishing.drafts import Draft, draft_at, sha256_in
from loaders.publishing.planning import DatasetPlan
from loaders.publishing.tasks import is_untouched
from loaders.publishing.verification import verify
from loaders.stores.storage import Storage, exists_in

logger = logging.getLogger(__name__)

PLAN_ID = "plan_id"
"""Key of the plan's id in the lineage of `_dataset.json`."""

SAMPLES_ID = "samples_id"
"""Key of what the plan's rows are, free of layout."""


@dataclass(frozen=True, slots=True)
class Published:
    """What lies in a published folder.

    Attributes:
        folder: The folder of the version, a path or a URL; each split is a folder in it.
        dataset: Content of `_dataset.json`.
        files: Parquet files of all splits.
        bytes: Size of these files.
        is_new: False if the same content was there before and nothing was written.
    """

    folder: str
    dataset: Dataset
    files: int
    bytes: int
    is_new: bool

    def __str__(self) -> str:
        splits = ", ".join(f"{name} {entry.rows}" for name, entry in sorted(self.dataset.splits.items()))
        state = "published" if self.is_new else "unchanged"
        return f"{_last(self.folder)} {state}: {splits}; {self.files} files, {self.bytes:,} bytes"


def find_published(folder: str | Path | Draft, plan: DatasetPlan) -> Published | None:
    """Return what is published at `folder` if a plan of the same rows made it, without reading rows; else None.

    Which parts it took over from where does not matter. None does not say that the folder is free: `publish` compares
    the content then.

    Args:
        folder: A path or a URL, or the draft of one, whose remains are removed if there are any.
        plan: What was planned.

    Raises:
        CorruptionError: If files of it are missing or have other sizes.
    """
    draft = draft_at(folder) if isinstance(folder, str | Path) else folder
    target = draft.target
    if not exists_in(target, DATASET):
        return None
    found = read_dataset(target)
    is_ours = plan.samples_id and found.lineage.get(SAMPLES_ID) == plan.samples_id
    if found.lineage.get(PLAN_ID) != plan.plan_id and not is_ours:
        return None
    _check_whole(target)
    if draft.is_sealed():
        draft.discard()
    return _describe(target, found, is_new=False)


def publish(
    plan: DatasetPlan,
    receipts: Mapping[str, PartReceipt],
    *,
    staging: str | Path | Draft,
    folder: str | Path | None = None,
    lineage: Mapping[str, object] | None = None,
    check: Callable[[], None] | None = None,
) -> Published:
    """Check every part of a draft, describe it, and let it appear in one step: a rename, or the put of one file.

    Can be run again after a kill at any point. A folder that holds the same content already is returned as it is,
    and what is left of the draft is removed.

    Args:
        plan: What was planned.
        receipts: {task name: receipt} for every task of the plan.
        staging: The draft; or the folder in which the parts were written, on the file system of `folder`; in a bucket
            it is `folder` itself.
        folder: Final folder, `datasets/<name>/<version id>`, a path or a URL; a draft knows its own.
        lineage: JSON object kept in the manifests: where the rows came from.
        check: Called right before the version appears; what it raises keeps it from that.

    Raises:
        AlreadyPublishedError: If the folder holds other content; nothing is changed then.
        CorruptionError: If a part is missing or differs from its receipt.
        FormatError: If a receipt is missing, does not fit its task, or the plan has no rows.
    """
    draft = _draft(staging, folder)
    manifests = _manifests(plan, receipts, lineage or {})
    dataset = Dataset(
        dataset_id=plan.dataset_id,
        splits={name: _entry(manifest) for name, manifest in manifests.items()},
        lineage={**(lineage or {}), PLAN_ID: plan.plan_id, SAMPLES_ID: plan.samples_id},
    )
    if draft.is_taken():
        return _same_or_refused(draft, dataset)
    for name, manifest in manifests.items():
        _check_parts(draft, manifest)
        draft.begin(name, {part.name for part in manifest.parts})
        draft.put(f"{name}/{COMMON_METADATA}", common_metadata(manifest.fields, manifest.parts))
        draft.put(f"{name}/{MANIFEST}", manifest.to_json().encode())
    if check is not None:
        check()
    try:
        draft.appear(dataset.to_json(), manifests.keys())
    except FileExistsError:
        return _same_or_refused(draft, dataset)
    result = _describe(draft.target, dataset, is_new=True)
    logger.info(
        "published folder=%s rows=%d files=%d bytes=%d",
        _last(result.folder), dataset.rows, result.files, result.bytes,
    )  # fmt: skip
    return result


def _draft(staging: str | Path | Draft, folder: str | Path | None) -> Draft:
    if not isinstance(staging, str | Path):
        return staging
    if folder is None:
        raise FormatError(f"publish needs the final folder beside its staging folder {staging}")
    return draft_at(folder, staging=staging)


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
            strata=plan.strata.get(split, ()),
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


def _check_parts(draft: Draft, manifest: Manifest) -> None:
    for part in manifest.parts:
        name = f"{manifest.split}/{part.name}"
        if is_untouched(draft, manifest.split, part):
            continue
        found = sha256_in(draft.files, name) if exists_in(draft.files, name) else "no file"
        if found != part.sha256:
            path = f"{draft.files.root}/{name}"
            raise CorruptionError(
                f"{path}: expected SHA-256 {part.sha256}, found {found}; remove the staging folder and write again",
                file=path,
            )


def _same_or_refused(draft: Draft, dataset: Dataset) -> Published:
    target = draft.target
    if not exists_in(target, DATASET):
        raise FormatError(
            f"{target.root} is in the way: it is no published dataset, {DATASET} is missing; move it away"
        )
    found = read_dataset(target)
    if not found.same_content(dataset):
        raise AlreadyPublishedError(
            f"{target.root} holds dataset {found.dataset_id or '(no id)'} with content {found.content_digest}, "
            f"not {dataset.dataset_id or '(no id)'} with {dataset.content_digest}; "
            "what is published never changes: choose another folder or version"
        )
    _check_whole(target)
    draft.discard()
    return _describe(target, found, is_new=False)


def _check_whole(target: Storage) -> None:
    try:
        verify(target, deep=False)
    except (CorruptionError, FormatError) as error:
        raise CorruptionError(
            f"{target.root} is published and damaged: {error}; remove this folder and publish the version again",
            file=target.root,
        ) from error


def _describe(target: Storage, dataset: Dataset, *, is_new: bool) -> Published:
    sizes = [told.size for told in target.list() if told.name.endswith(".parquet")]
    return Published(target.root, dataset, len(sizes), sum(sizes), is_new)


def _last(folder: str) -> str:
    return folder.rstrip("/").rsplit("/", 1)[-1]
