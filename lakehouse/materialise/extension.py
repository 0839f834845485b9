"""What a version may take over of one that was published before it: whole parts, all of whose rows it has too."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from lakehouse.datasets.versions.find import DatasetVersion
from lakehouse.lake import Lake
from lakehouse.materialise.encoding import decides_bytes
from lakehouse.materialise.published import is_whole, note_whole, published_files
from lakehouse.materialise.samples import SampleTable
from lakehouse.query import fetch
from lakehouse.steps.step import StepRecord
from loaders.errors import AlreadyPublishedError, CorruptionError
from loaders.format.manifest import DATASET, FORMAT_VERSION, read_dataset, read_manifest
from loaders.publishing.keeping import KeptPart, read_parts
from loaders.publishing.planning import DatasetPlan
from loaders.publishing.publish import Published
from loaders.stores.below import Below
from loaders.stores.storage import exists_in

EXTENDS = "extends"
"""Key of the version whose parts were taken over, in the lineage of what is published."""

ENCODER = "encoder"
"""Key of the versions that bytes were encoded, or frames decoded, with, in the lineage of what is published."""

OLDER = """
select m.dataset_id, m.folder, count(*) as common, max(d.first_version) as built_as,
    max(d.contracts_json) as contracts_json
from (select distinct dataset_id, folder from gold.materialisations) m
join gold.datasets d on d.dataset_id = m.dataset_id
join gold.datasets n on n.name = d.name and d.first_version < n.first_version
join gold.dataset_members o on o.dataset_id = m.dataset_id
join gold.dataset_members w on w.dataset_id = n.dataset_id and w.entity_id = o.entity_id and w.split = o.split
where n.dataset_id = $id
group by m.dataset_id, m.folder order by common desc, built_as desc, dataset_id
"""
"""Only versions that were built before: a folder that was removed is published again as it was."""

WHO_AND_WHAT = frozenset({"name", "question", "changes", "select", "label", "strata", "split", "duplicates", "as_of"})
"""Sections of a recipe that decide who is a member and what is said of it: compared row by row. Any other may decide
what is stored of the bytes, or in which order."""


@dataclass(frozen=True, slots=True)
class Offer:
    """The version whose parts may be taken over.

    Attributes:
        dataset_id: Its id; "" for none.
        folder: Its folder, among the files of the lake.
        parts: Its parts.
    """

    dataset_id: str = ""
    folder: str = ""
    parts: tuple[KeptPart, ...] = ()


def offered(
    lake: Lake,
    version: DatasetVersion,
    samples: SampleTable,
    folder: str,
    record: StepRecord,
    *,
    fresh: bool,
    made_with: Mapping[str, str],
) -> Offer:
    """Return the published version of the same name that has most members in common, if it can be extended.

    What is published already says itself what it extends.

    Args:
        lake: The lake.
        version: The version to be published.
        samples: Its rows.
        folder: Its folder.
        record: Takes note of versions that are damaged, and give nothing.
        fresh: Extend none.
        made_with: What the lineage says beside the recipe that decides what is stored of the bytes.

    Raises:
        AlreadyPublishedError: If nothing is to be extended, and the version is published as an extension.
    """
    stated = _stated(lake, folder)
    if fresh:
        if stated:
            raise AlreadyPublishedError(
                f"{lake.home}/{folder} extends {stated}, and what is published never changes; remove this folder to "
                "write the version afresh"
            )
        return Offer()
    if stated == "":
        return Offer()
    for row in fetch(lake, OLDER, params={"id": version.dataset_id}):
        if stated not in (None, row["dataset_id"]):
            continue
        if decides_bytes(json.loads(row["contracts_json"])) != decides_bytes(version.contracts):
            continue  # The same rows, of other bytes.
        parts = _parts_of(lake, version, samples, row["folder"], record, made_with)
        if parts:
            return Offer(row["dataset_id"], row["folder"], parts)
    return Offer()


def tell_taken(record: StepRecord, offer: Offer, plan: DatasetPlan) -> None:
    """Put into a receipt what was taken over, and why other parts were not."""
    rows = sum(part.rows for part in plan.taken)
    if plan.taken:
        record.details["extends"] = offer.dataset_id
        record.counts |= {"files_kept": len(plan.taken), "rows_kept": rows, "rows_written": plan.rows - rows}
    for why, count in plan.rewritten.items():
        record.note("rewritten", f"parts of {offer.dataset_id} are written anew: {why}", count=count)


def format_version_of(lake: Lake, published: Published, folder: str) -> int:
    """Return the version of the format that the splits of a published version have."""
    dataset = published.dataset
    if EXTENDS not in dataset.lineage:
        return FORMAT_VERSION
    files = published_files(lake.home, folder)
    return max(read_manifest(Below(files, split)).format_version for split in dataset.splits)


def note_linked(lake: Lake, offer: Offer) -> None:
    """Note that the extended version is as it was: a link to a file changes its times."""
    if offer.folder and lake.home.is_local:
        note_whole(lake.home, offer.folder)


def _stated(lake: Lake, folder: str) -> str | None:
    """Return which version the published folder extends, "" for none; None where nothing is published."""
    files = published_files(lake.home, folder)
    if not exists_in(files, DATASET):
        return None
    return str(read_dataset(files).lineage.get(EXTENDS, ""))


def _parts_of(
    lake: Lake, version: DatasetVersion, samples: SampleTable, folder: str, record: StepRecord,
    made_with: Mapping[str, str],
) -> tuple[KeptPart, ...]:  # fmt: skip
    try:
        if not is_whole(lake.home, folder):
            return ()
        files = published_files(lake.home, folder)
        lineage = read_dataset(files).lineage
        recipe = lineage.get("recipe")
        if not isinstance(recipe, Mapping) or _stored_as(recipe) != _stored_as(version.recipe):
            return ()
        if lineage.get(ENCODER) != made_with.get(ENCODER):
            return ()
        return read_parts(files, samples.fields, samples.objects)
    except CorruptionError as error:
        record.note("not_extended", f"{folder} is damaged and is not extended: {error}")
        return ()


def _stored_as(recipe: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in recipe.items() if key not in WHO_AND_WHAT}
