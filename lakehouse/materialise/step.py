"""materialise: gold.dataset_members and the bytes of their entities -> a published folder, gold.materialisations."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from lakehouse.datasets.counts import check_members
from lakehouse.datasets.find import DatasetVersion, find_dataset, read_members, version_named
from lakehouse.errors import RecipeError
from lakehouse.home import storage_at
from lakehouse.lake import Lake
from lakehouse.materialise.picture_size import common_size
from lakehouse.materialise.published import is_whole, note_whole
from lakehouse.materialise.samples import LAYOUT, of_one_size, sample_table
from lakehouse.media.kinds.image import IMAGE
from lakehouse.objects import at_once, read_entity
from lakehouse.steps.receipts import Receipt
from lakehouse.steps.step import StepRecord, step
from lakehouse.tables.insert import insert_rows
from lakehouse.tables.locks import Held, lake_lock
from lakehouse.tables.read import pin_heads
from loaders.format.manifest import FORMAT_VERSION
from loaders.publishing.drafts import BucketDraft, Draft, LocalDraft
from loaders.publishing.planning import DatasetPlan, plan_dataset
from loaders.publishing.publish import Published, find_published, publish
from loaders.publishing.tasks import RECEIPT_SCHEMA, receipts_of, run_task_batches
from schemas.canonical import content_id
from schemas.tables import DATASET_MEMBERS, DATASETS, MATERIALISATIONS


def materialise(lake: Lake, dataset: str) -> Receipt:
    """Publish a dataset version; one that is published already is left alone.

    Args:
        lake: The lake.
        dataset: Name of a dataset, for the version built last, or the id of a version.

    Returns:
        Receipt with counts rows and files, bytes written, and details dataset, dataset_id and folder, which
            stands under the lake: `make_reader(f"{lake.home}/{receipt.details['folder']}/train", ...)`.

    Raises:
        RecipeError: If there is no such dataset, or it has no member.
        ConcurrentWriteError: If another process was publishing the same version for too long.
        IngestError: If an object is missing, or has other bytes than when it was landed.
        TableError: If a file of a table is missing or damaged.
        LoaderError: If what was written is not what was planned, or what was published is damaged.
    """
    inputs = {"dataset": version_named(lake, dataset), **pin_heads(lake, [DATASETS.name])}
    reads = pin_heads(lake, [DATASETS.name, DATASET_MEMBERS.name])
    with step(lake, "materialise", inputs=inputs, reads=reads) as record:
        # A folder can be removed to free its space; the tables do not tell.
        record.unchanged = record.unchanged and is_whole(lake.home, str(record.details["folder"]))
        if not record.unchanged:
            _materialise(lake, find_dataset(lake, dataset), record)
    return record.finished()


def _materialise(lake: Lake, version: DatasetVersion, record: StepRecord) -> None:
    if version.members == 0:
        raise RecipeError(
            f"dataset {version.name} ({version.dataset_id}) has no member; `select reason, count(*) from "
            "gold.dataset_exclusions group by reason` tells why"
        )
    folder = f"datasets/{version.name}/{version.dataset_id}"
    check_members(lake, version.dataset_id)
    members = lake.engine.arrow(read_members(lake, version.dataset_id))
    samples = sample_table(
        members, version.classes, version.fields, answers=version.answers, pixels=version.followed.image.pixels
    )
    if IMAGE.sample in samples.fields:
        size = common_size(lake, samples.rows[samples.objects[IMAGE.sample.name]].to_pylist())
        samples = samples if size is None else of_one_size(samples, size)
    plan = plan_dataset(
        samples.rows,
        samples.fields,
        seed=version.seed,
        dataset_id=version.dataset_id,
        objects=samples.objects,
        layout=LAYOUT,
    )
    many = at_once(lake.home, (place for name in samples.objects.values() for place in samples.rows[name].to_pylist()))
    lineage = {"name": version.name, "recipe": version.recipe}
    draft = _draft(lake, folder, plan)
    # One publisher of a version at a time: they would share the draft.
    with lake_lock(lake, f"dataset-{version.dataset_id}") as held:
        published = find_published(draft, plan) or _publish(lake, plan, draft, lineage, held, many)
        if published.is_new:
            note_whole(lake.home, folder)
        else:
            is_whole(lake.home, folder)
    row = {
        "dataset_id": version.dataset_id,
        "folder": folder,
        "format_version": FORMAT_VERSION,
        "rows": published.dataset.rows,
        "files": published.files,
        "content_digest": str(published.dataset.content_digest),
        "size_bytes": published.bytes,
    }
    row["materialisation_id"] = content_id(row)
    record.writes.append(insert_rows(lake, MATERIALISATIONS, [row], step="materialise"))
    record.bytes_written = published.bytes if published.is_new else 0
    record.counts = {"rows": published.dataset.rows, "files": published.files}
    record.details = {"dataset": version.name, "dataset_id": version.dataset_id, "folder": str(row["folder"])}


def _draft(lake: Lake, folder: str, plan: DatasetPlan) -> Draft:
    if lake.home.is_local:
        # Named by the plan: a killed run's finished files are found again, and nobody else's.
        final = lake.home.folder / folder
        return LocalDraft(final.parent / f".staging-{plan.plan_id[:32]}", final)
    opened = functools.partial(storage_at, stores=lake.home.stores)
    # Workers that do not see this machine write parts where they have room.
    scratch = str(lake.scratch) if lake.home.fetched_bytes is None else None
    return BucketDraft(f"{lake.home.address}/{folder}", opened, scratch=scratch)


def _publish(
    lake: Lake, plan: DatasetPlan, draft: Draft, lineage: Mapping[str, object], held: Held, many: int
) -> Published:
    read_object = functools.partial(read_entity, lake.home)
    written = lake.engine.map_batches(
        lake.engine.from_arrow(plan.task_table()),
        functools.partial(run_task_batches, staging=draft, read_object=read_object, at_once=many),
        RECEIPT_SCHEMA,
        rows_per_task=1,
        label=f"materialise {lineage['name']}",
    )
    receipts = receipts_of(lake.engine.arrow(written))
    return publish(plan, receipts, staging=draft, lineage=lineage, check=held.check)
