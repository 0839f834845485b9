"""Publish datasets as Parquet and read them for training: exactly repeatable, resumable anywhere, never hanging.

Reading (neither JVM nor Spark; torch only in `loaders.torch`)::

    from loaders import ReadOptions, Shard, Shuffle, make_reader

    with make_reader("datasets/digits/3f9c.../train", columns=["image", "label_index"], batch_size=64,
                     shuffle=Shuffle(seed=7)) as reader:
        if checkpoint:
            reader.load_state_dict(checkpoint["data"])
        for batch in reader:                        # one epoch; iterate again for the next, in another order
            loss = train_step(batch["image"], batch["label_index"])      # uint8 (64, H, W, 3), int64 (64,)
            checkpoint = {"data": reader.state_dict()}

Writing rows that are in memory::

    write_dataset(rows, [Field("entity_id", pa.string()), Field("image", pa.binary(), codec="image", shape=(8, 8))],
                  "datasets/digits/v1", seed=7)

Writing with many workers. The plan holds small rows, no bytes; each task reads its bytes where it runs::

    plan = plan_dataset(
        rows,                                       # pa.Table: entity_id, split, bytes, object_uri, label, weight ...
        fields,                                     # what is stored: a column of `rows`, or listed in `objects`
        seed=recipe.seed, dataset_id=dataset_id,
        objects={"image": "object_uri"},            # bytes of `image` are read from the URI in `object_uri`
    )
    done = find_published(folder, plan)             # the second run ends here, having read no bytes
    if done is None:
        function = partial(run_task_batches, staging=str(staging), read_object=partial(read_bytes, root))
        tasks = engine.from_arrow(plan.task_table())            # one row is one part
        written = engine.map_batches(tasks, function, RECEIPT_SCHEMA, rows_per_task=1, label="materialise")
        done = publish(plan, receipts_of(engine.arrow(written)), staging=staging, folder=folder, lineage={...})

Every task is idempotent; after a kill the same lines continue: parts that are complete are kept. `staging` must lie
on the file system of `folder` and be named after `plan.plan_id`, so that two plans do not meet in it.

FORMAT.md says what is on disk, ORDER.md in which order it is read, GUIDE.md how to use it in training.

The packages, each standing on those after it: `mixing` and the glue to torch and Arrow; `reader`; `engine` (batches
are made) and `publishing` (datasets are written); `reading` (files to memory) and `workers` (threads, processes);
`decoding` (bytes to arrays); `ordering` (which samples, in which order); `format` (what is on disk); `stores` (where
files lie).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loaders.decoding.decoders import CenterCrop, RandomResizedCrop
    from loaders.decoding.placement import Placement, stored_boxes, stored_points
    from loaders.decoding.resizing import Letterbox, Resize, ResizeShorter
    from loaders.decoding.values import Batch
    from loaders.engine.samples import per_sample
    from loaders.engine.stats import ReaderStats
    from loaders.errors import (
        AlreadyPublishedError,
        CorruptionError,
        DeadlineError,
        DecodeError,
        FormatError,
        LoaderError,
        RankMismatchError,
        StateMismatchError,
        StorageError,
        TransformError,
        WorkerDiedError,
    )
    from loaders.format.fields import Field, field_from_json
    from loaders.format.geometry import Geometry
    from loaders.format.manifest import Dataset, Manifest, PartReceipt, read_dataset, read_manifest
    from loaders.format.parts import plan_parts
    from loaders.mixing.mix import MixedReader, mix
    from loaders.options import ReadOptions, Shard, Shuffle
    from loaders.ordering.sequences import Sequence
    from loaders.ordering.weights import Weights
    from loaders.publishing.damage import damages
    from loaders.publishing.keeping import KeptPart, read_parts
    from loaders.publishing.part_task import TASK_SCHEMA, PartTask
    from loaders.publishing.planning import DatasetPlan, Layout, plan_dataset
    from loaders.publishing.publish import Published, find_published, publish
    from loaders.publishing.tasks import RECEIPT_SCHEMA, receipts_of, run_task, run_task_batches
    from loaders.publishing.verification import Verified, verify
    from loaders.publishing.write import write_dataset
    from loaders.reader import Reader, make_reader
    from loaders.stores.storage import StorageOptions

_HOME = {
    "decoding.values": ("Batch",),
    "decoding.arrays": ("FixedArray",),
    "decoding.texts": ("Utf8Bytes",),
    "decoding.clips": ("VideoClip", "VideoFrames"),
    "decoding.decoders": ("CenterCrop", "RandomResizedCrop"),
    "decoding.placement": ("Placement", "stored_boxes", "stored_points"),
    "decoding.resizing": ("Letterbox", "Resize", "ResizeShorter"),
    "errors": ("AlreadyPublishedError", "CorruptionError", "DeadlineError", "DecodeError", "FormatError", "LoaderError",
               "RankMismatchError", "StateMismatchError", "StorageError", "TransformError", "WorkerDiedError"),
    "format.fields": ("Field", "field_from_json"),
    "format.geometry": ("Geometry",),
    "format.manifest": ("Dataset", "Manifest", "PartReceipt", "read_dataset", "read_manifest"),
    "mixing.mix": ("MixedReader", "mix"),
    "options": ("ReadOptions", "Shard", "Shuffle"),
    "format.parts": ("plan_parts",),
    "publishing.damage": ("damages",),
    "publishing.keeping": ("KeptPart", "read_parts"),
    "publishing.part_task": ("TASK_SCHEMA", "PartTask"),
    "publishing.planning": ("DatasetPlan", "Layout", "plan_dataset"),
    "publishing.publish": ("Published", "find_published", "publish"),
    "reader": ("Reader", "make_reader"),
    "engine.samples": ("per_sample",),
    "ordering.sequences": ("Sequence",),
    "ordering.weights": ("Weights",),
    "engine.stats": ("ReaderStats",),
    "stores.storage": ("StorageOptions",),
    "publishing.tasks": ("RECEIPT_SCHEMA", "receipts_of", "run_task", "run_task_batches"),
    "publishing.verification": ("Verified", "verify"),
    "publishing.write": ("write_dataset",),
}  # fmt: skip
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "RECEIPT_SCHEMA",
    "TASK_SCHEMA",
    "AlreadyPublishedError",
    "Batch",
    "CenterCrop",
    "CorruptionError",
    "Dataset",
    "DatasetPlan",
    "DeadlineError",
    "DecodeError",
    "Field",
    "FixedArray",
    "FormatError",
    "Geometry",
    "KeptPart",
    "Layout",
    "Letterbox",
    "LoaderError",
    "Manifest",
    "MixedReader",
    "PartReceipt",
    "PartTask",
    "Placement",
    "Published",
    "RandomResizedCrop",
    "RankMismatchError",
    "ReadOptions",
    "Reader",
    "ReaderStats",
    "Resize",
    "ResizeShorter",
    "Sequence",
    "Shard",
    "Shuffle",
    "StateMismatchError",
    "StorageError",
    "StorageOptions",
    "TransformError",
    "Utf8Bytes",
    "Verified",
    "VideoClip",
    "VideoFrames",
    "Weights",
    "WorkerDiedError",
    "damages",
    "field_from_json",
    "find_published",
    "make_reader",
    "mix",
    "per_sample",
    "plan_dataset",
    "plan_parts",
    "publish",
    "read_dataset",
    "read_manifest",
    "read_parts",
    "receipts_of",
    "run_task",
    "run_task_batches",
    "stored_boxes",
    "stored_points",
    "verify",
    "write_dataset",
]


def __getattr__(name: str) -> object:
    """Load a public name when it is first used: `import loaders` itself costs nothing."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'loaders' has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"loaders.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
