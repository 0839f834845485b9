"""materialise: gold.dataset_members and the bytes of their entities -> a published folder, gold.materialisations."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.datasets.recipes.recipe import Recipe
from lakehouse.datasets.versions.counts import check_members
from lakehouse.datasets.versions.find import DatasetVersion, find_dataset, read_members
from lakehouse.datasets.versions.named import version_named
from lakehouse.derived.members import are_derived, derived_sizes
from lakehouse.errors import RecipeError
from lakehouse.home import storage_at
from lakehouse.lake import Lake
from lakehouse.materialise.encoding import (
    check_decoder,
    check_encoder,
    decoder_of_references,
    reader_of,
    values_alone,
)
from lakehouse.materialise.extension import ENCODER, EXTENDS, Offer, format_version_of, note_linked, offered, tell_taken
from lakehouse.materialise.naming import with_names
from lakehouse.materialise.picture_size import Size, common_size
from lakehouse.materialise.published import is_whole, note_whole
from lakehouse.materialise.recoding import recoded
from lakehouse.materialise.repeating import SAMPLE, repeated
from lakehouse.materialise.reshaping import LEFT, reshaped
from lakehouse.materialise.samples import LAYOUT, SampleTable, of_one_size, sample_table
from lakehouse.materialise.window_rows import layout_of_windows, window_rows
from lakehouse.media.kinds.image import IMAGE
from lakehouse.media.kinds.registry import judges_of
from lakehouse.objects import at_once
from lakehouse.quality.verdicts import check_quality
from lakehouse.steps.receipts import Receipt
from lakehouse.steps.step import StepRecord, step
from lakehouse.tables.insert import insert_rows
from lakehouse.tables.locks import Held, lake_lock
from lakehouse.tables.read import pin_heads
from loaders.publishing.drafts import BucketDraft, Draft, LocalDraft
from loaders.publishing.planning import DatasetPlan, plan_dataset
from loaders.publishing.publish import Published, find_published, publish
from loaders.publishing.tasks import RECEIPT_SCHEMA, receipts_of, run_task_batches
from schemas.canonical import content_id
from schemas.tables import DATASET_MEMBERS, DATASETS, MATERIALISATIONS


def materialise(lake: Lake, dataset: str, *, fresh: bool = False, allow_failed: str = "") -> Receipt:
    """Publish a dataset version; one that is published already is left alone.

    Parts of an earlier version of the same name all of whose rows are in this one, unchanged, are taken over as they
    are, and only the other rows are written. The content is the same either way, the order of rows is not.

    Args:
        lake: The lake.
        dataset: Name of a dataset, for the version built last, or the id of a version.
        fresh: Write all rows: then files and order depend on the version alone, and on no other.
        allow_failed: Why failed quality suites about datasets stop nothing; recorded with their results.

    Returns:
        Receipt with counts rows and files, bytes written, and details dataset, dataset_id and folder, which
            stands under the lake: `make_reader(f"{lake.home}/{receipt.details['folder']}/train", ...)`. Where parts
            were taken over, counts files_kept, rows_kept and rows_written, and the detail extends.

    Raises:
        RecipeError: If there is no such dataset, or it has no member.
        CheckFailedError: If a quality suite about datasets or their members failed, and nobody allowed it.
        ConcurrentWriteError: If another process was publishing the same version for too long.
        IngestError: If an object is missing, or has other bytes than when it was landed.
        TableError: If a file of a table is missing or damaged.
        LoaderError: If what was written is not what was planned, or what was published is damaged, or was not
            published afresh.
    """
    inputs = {"dataset": version_named(lake, dataset), **pin_heads(lake, [DATASETS.name])}
    inputs |= {"fresh": True} if fresh else {}
    reads = pin_heads(lake, [DATASETS.name, DATASET_MEMBERS.name, MATERIALISATIONS.name])
    with step(lake, "materialise", inputs=inputs, reads=reads) as record:
        check_quality(lake, (DATASETS.name, DATASET_MEMBERS.name), record, allow_failed=allow_failed)
        # A folder can be removed to free its space; the tables do not tell.
        record.unchanged = record.unchanged and is_whole(lake.home, str(record.details["folder"]))
        if not record.unchanged:
            _materialise(lake, find_dataset(lake, dataset), record, fresh=fresh)
    return record.finished()


def _materialise(lake: Lake, version: DatasetVersion, record: StepRecord, *, fresh: bool) -> None:
    if version.members == 0:
        raise RecipeError(
            f"dataset {version.name} ({version.dataset_id}) has no member; `select reason, count(*) from "
            "gold.dataset_exclusions group by reason` tells why"
        )
    folder = f"datasets/{version.name}/{version.dataset_id}"
    check_members(lake, version.dataset_id)
    members = lake.engine.arrow(read_members(lake, version.dataset_id))
    check_decoder(version.contracts, version.name)
    of_windows = version.followed.samples.of == "windows"
    if of_windows:
        members = window_rows(lake, members, version.dataset_id)
    samples = sample_table(
        members, version.classes, version.fields, answers=version.answers, pixels=version.followed.image.pixels
    )
    recipe = version.followed
    made_with = check_encoder(recipe, version.contracts, version.name)
    if recipe.samples.of != "clips":  # of these it is part of the id
        decoder = decoder_of_references(samples.rows[name] for name in samples.objects.values())
        made_with = ", ".join(filter(None, (made_with, decoder)))
    encoder = {ENCODER: made_with} if made_with else {}
    if recipe.image.form is not None:
        samples = reshaped(lake, samples, recipe.image.form, record)
    elif recipe.audio.form is not None:
        samples = recoded(lake, samples, recipe.audio.form, record)
    elif IMAGE.sample in samples.fields:
        size = _common_size(lake, members, samples)
        samples = samples if size is None else of_one_size(samples, size)
    layout = layout_of_windows(LAYOUT) if of_windows else LAYOUT
    if version.followed.balance.repeats:
        samples = repeated(samples)
        layout = replace(LAYOUT, id_column=SAMPLE.name)
    samples = with_names(samples, version.followed.fields)
    many = at_once(lake.home, (place for name in samples.objects.values() for place in samples.rows[name].to_pylist()))
    # One publisher of a version at a time: they would share the draft.
    with lake_lock(lake, f"dataset-{version.dataset_id}") as held:
        # Rows of one window stand together: their parts take over no others.
        offer = Offer()
        if not of_windows:
            offer = offered(lake, version, samples, folder, record, fresh=fresh, made_with=encoder)
        plan = plan_dataset(
            samples.rows,
            samples.fields,
            seed=version.seed,
            dataset_id=version.dataset_id,
            objects=samples.objects,
            layout=layout,
            published=offer.parts,
        )
        lineage: dict[str, object] = {"name": version.name, "recipe": version.recipe, **encoder}
        if plan.taken:
            lineage[EXTENDS] = offer.dataset_id
        if LEFT in record.notes:
            lineage[LEFT] = record.notes[LEFT].count
        draft = _draft(lake, folder, plan)
        reader = _reader(lake, recipe, samples)
        published = find_published(draft, plan) or _publish(lake, plan, draft, lineage, held, many, reader)
        if published.is_new:
            note_whole(lake.home, folder)
            note_linked(lake, offer)
        else:
            is_whole(lake.home, folder)
    kept = sum(part.bytes for part in plan.taken)
    row = {
        "dataset_id": version.dataset_id,
        "folder": folder,
        "format_version": format_version_of(lake, published, folder),
        "rows": published.dataset.rows,
        "files": published.files,
        "content_digest": str(published.dataset.content_digest),
        "size_bytes": published.bytes,
    }
    row["materialisation_id"] = content_id(row)
    record.writes.append(insert_rows(lake, MATERIALISATIONS, [row], step="materialise"))
    record.bytes_written = published.bytes - kept if published.is_new else 0
    record.counts = {"rows": published.dataset.rows, "files": published.files}
    record.details = {"dataset": version.name, "dataset_id": version.dataset_id, "folder": str(row["folder"])}
    if plan.taken or plan.rewritten:
        tell_taken(record, offer, plan)


def _reader(lake: Lake, recipe: Recipe, samples: SampleTable) -> Callable[[str], bytes]:
    reader = reader_of(lake.home, recipe, judges_of(lake.config))
    is_bare = any(field.codec == "ndarray" for field in samples.fields if field.name in samples.objects)
    return functools.partial(values_alone, reader) if is_bare else reader


def _common_size(lake: Lake, members: pa.Table, samples: SampleTable) -> Size | None:
    sizes = derived_sizes(members)
    if len(sizes) > 1:
        return None
    whole = samples.rows[samples.objects[IMAGE.sample.name]].filter(pc.invert(are_derived(members))).to_pylist()
    if not whole:
        return sizes.pop() if sizes else None
    found = common_size(lake, whole)
    return found if not sizes or sizes == {found} else None


def _draft(lake: Lake, folder: str, plan: DatasetPlan) -> Draft:
    if lake.home.is_local:
        # Named by the plan: a killed run's finished files are found again, and nobody else's.
        final = lake.home.shared.folder / folder
        return LocalDraft(final.parent / f".staging-{plan.plan_id[:32]}", final)
    opened = functools.partial(storage_at, stores=lake.home.stores)
    # Workers that do not see this machine write parts where they have room.
    scratch = str(lake.scratch) if lake.home.fetched_bytes is None else None
    return BucketDraft(f"{lake.home.shared.address}/{folder}", opened, scratch=scratch)


def _publish(
    lake: Lake,
    plan: DatasetPlan,
    draft: Draft,
    lineage: Mapping[str, object],
    held: Held,
    many: int,
    read_object: Callable[[str], bytes],
) -> Published:
    written = lake.engine.map_batches(
        lake.engine.from_arrow(plan.task_table()),
        functools.partial(run_task_batches, staging=draft, read_object=read_object, at_once=many),
        RECEIPT_SCHEMA,
        rows_per_task=1,
        label=f"materialise {lineage['name']}",
    )
    receipts = receipts_of(lake.engine.arrow(written))
    return publish(plan, receipts, staging=draft, lineage=lineage, check=held.check)
