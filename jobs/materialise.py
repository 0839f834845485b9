"""Publish a dataset version as Parquet that any engine can read and `loaders.make_reader` feeds to training.

    ./spark-submit.sh jobs/materialise.py --lake my_lake --dataset digits
    petrel materialise --lake my_lake --dataset digits
    petrel materialise --lake my_lake --pipeline conf/pipelines/digits.toml

Writes <lake>/datasets/<name>/<version id>/, all of it or nothing; a killed run keeps the files it had finished.
"""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from jobs.common import main_of
from jobs.picture_size import common_size
from jobs.pipeline import load_pipeline
from jobs.published import is_whole, note_whole
from jobs.samples import IMAGE, LAYOUT, of_one_size, sample_table
from lakehouse.datasets.counts import check_members
from lakehouse.datasets.find import DatasetVersion, find_dataset, read_members, version_named
from lakehouse.errors import RecipeError
from lakehouse.lake import Lake
from lakehouse.objects import read_entity
from lakehouse.steps.receipts import Receipt
from lakehouse.steps.step import StepRecord, step
from lakehouse.tables.insert import insert_rows
from lakehouse.tables.locks import writer_lock
from lakehouse.tables.read import pin_heads
from loaders import (
    RECEIPT_SCHEMA,
    DatasetPlan,
    Published,
    find_published,
    plan_dataset,
    publish,
    receipts_of,
    run_task_batches,
)
from loaders.format.manifest import FORMAT_VERSION
from schemas.canonical import content_id
from schemas.tables import DATASETS, MATERIALISATIONS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this step takes."""
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument("--dataset", help="name of a dataset (the version built last) or a version id")
    given.add_argument("--pipeline", metavar="FILE", help="every dataset of a pipeline file, the version built last")


def run(lake: Lake, args: argparse.Namespace) -> Iterator[Receipt]:
    """Run the step."""
    names = [recipe.name for recipe in load_pipeline(args.pipeline).recipes] if args.pipeline else [args.dataset]
    for name in names:
        yield materialise(lake, name)


def materialise(lake: Lake, name_or_id: str) -> Receipt:
    """Publish a dataset version; one that is published already is left alone.

    Returns:
        Receipt with counts rows and files, bytes written, and details dataset_id and folder.

    Raises:
        RecipeError: If there is no such dataset, or it has no member.
        ConcurrentWriteError: If another process was publishing the same version for too long.
        IngestError: If an object is missing, or has other bytes than when it was landed.
        TableError: If a file of a table is missing or damaged.
        LoaderError: If what was written is not what was planned, or what was published is damaged.
    """
    inputs = {"dataset": version_named(lake, name_or_id), **pin_heads(lake, [DATASETS.name])}
    with step(lake, "materialise", inputs=inputs) as record:
        # A folder can be removed to free its space; the tables do not tell.
        record.unchanged = record.unchanged and is_whole(lake.root, lake.root / record.details["folder"])
        if not record.unchanged:
            _materialise(lake, find_dataset(lake, name_or_id), record)
    return record.finished()


def _materialise(lake: Lake, version: DatasetVersion, record: StepRecord) -> None:
    if version.members == 0:
        raise RecipeError(
            f"dataset {version.name} ({version.dataset_id}) has no member; `select reason, count(*) from "
            "gold.dataset_exclusions group by reason` tells why"
        )
    folder = lake.datasets / version.name / version.dataset_id
    check_members(lake, version.dataset_id)
    members = lake.engine.arrow(read_members(lake, version.dataset_id))
    samples = sample_table(members, version.classes, version.fields, pixels=version.followed.image.pixels)
    if IMAGE in samples.fields:
        size = common_size(lake, samples.rows[samples.objects[IMAGE.name]].to_pylist())
        samples = samples if size is None else of_one_size(samples, size)
    plan = plan_dataset(
        samples.rows,
        samples.fields,
        seed=version.seed,
        dataset_id=version.dataset_id,
        objects=samples.objects,
        layout=LAYOUT,
    )
    lineage = {"name": version.name, "recipe": version.recipe}
    # One publisher of a version at a time: they would share the staging folder.
    with writer_lock(lake.locks, f"dataset-{version.dataset_id}", timeout_s=lake.config.engine.lock_timeout_s):
        published = find_published(folder, plan) or _publish(lake, plan, folder, lineage)
        if published.is_new:
            note_whole(lake.root, folder)
        else:
            is_whole(lake.root, folder)
    row = {
        "dataset_id": version.dataset_id,
        "folder": str(folder.relative_to(lake.root)),
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


def _publish(lake: Lake, plan: DatasetPlan, folder: Path, lineage: Mapping[str, object]) -> Published:
    # Named by the plan: a killed run's finished files are found again, and nobody else's.
    staging = folder.parent / f".staging-{plan.plan_id[:32]}"
    read_object = functools.partial(read_entity, str(lake.root))
    written = lake.engine.map_batches(
        lake.engine.from_arrow(plan.task_table()),
        functools.partial(run_task_batches, staging=str(staging), read_object=read_object),
        RECEIPT_SCHEMA,
        rows_per_task=1,
        label=f"materialise {folder.parent.name}",
    )
    return publish(plan, receipts_of(lake.engine.arrow(written)), folder=folder, staging=staging, lineage=lineage)


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
