"""Petastorm 0.13.1 (pyarrow 14): Parquet with a Unischema, read by its torch loaders.

Photos and tensors: `make_reader`, the dummy pool (`workers` 0; its thread pool is slower, its process pool keeps no
order) and a shuffling queue of 1,000 rows. Photos are read from the same Parquet in two ways: `codec=bytes` hands the
JPEG to the transform of this benchmark; `codec=image` is how its documentation has it, CompressedImageCodec, which
decodes with OpenCV. Table: `make_batch_reader` with 2 threads and BatchedDataLoader.
"""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from petastorm import TransformSpec, make_batch_reader, make_reader
from petastorm.codecs import CompressedImageCodec, NdarrayCodec, ScalarCodec
from petastorm.pytorch import BatchedDataLoader, DataLoader
from petastorm.unischema import Unischema, UnischemaField
from pyspark.sql.types import BinaryType, LongType

from benchmarks.loaders.peers import Batch
from benchmarks.loaders.peers.torch_parts import Crop, Transform
from benchmarks.loaders.workloads import COLUMNS, Data

_PART = "part-00000.parquet"
_ROW_GROUP_BYTES = 4 << 20
_TABLE_ROWS_PER_GROUP = 100_000
_QUEUE = 1000
_TABLE_QUEUE = 2 * _TABLE_ROWS_PER_GROUP
_PLAIN = {"compression": "none", "use_dictionary": False}


class Decode:
    """The function of its TransformSpec: one row as a dict."""

    def __init__(self, seed: int) -> None:
        self._decode, self._crop = Transform(seed), Crop(seed)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        image = row["image"]
        crop = self._crop(image) if isinstance(image, np.ndarray) else self._decode(image)
        return {"image": crop, "id": row["id"]}


class Petastorm:
    """A reader for each epoch: one that is iterated again repeats its last partial batch, and does not reshuffle."""

    def __init__(self, data: Data, folder: Path, options: dict[str, Any], seed: int) -> None:
        torch.set_num_threads(1)  # its collate stacks with torch: two threads gain nothing and spin on a busy machine
        self._work, self._seed = data.workload, seed
        self._url = f"file://{folder / options['codec']}" if "codec" in options else f"file://{folder}"
        workers = int(options["workers"])
        pool = {"reader_pool_type": "thread", "workers_count": workers} if workers else {"reader_pool_type": "dummy"}
        self._pool = {**pool, "shuffle_row_groups": True, "num_epochs": 1}

    def epoch(self, number: int) -> Iterator[Batch]:
        """Return the batches of one epoch."""
        seed = self._seed * 1000 + number
        batch = self._work.batch
        if self._work.kind == "table":
            reader = make_batch_reader(self._url, seed=seed, **self._pool)
            with BatchedDataLoader(reader, batch_size=batch, shuffling_queue_capacity=_TABLE_QUEUE) as loader:
                yield from loader
            return
        spec = None
        if self._work.kind == "photos":
            field = ("image", np.uint8, self._work.shape, False)
            spec = TransformSpec(Decode(seed), edit_fields=[field])
        reader = make_reader(self._url, seed=seed, shuffle_rows=True, transform_spec=spec, **self._pool)
        with DataLoader(reader, batch_size=batch, shuffling_queue_capacity=_QUEUE) as loader:
            yield from loader

    def close(self) -> None:
        """Each epoch closes its reader."""


def prepare(data: Data, folder: Path) -> None:
    """Write uncompressed Parquet and the metadata that `materialize_dataset` would write with Spark."""
    work = data.workload
    if work.kind == "photos":
        for codec in ("bytes", "image"):
            (folder / codec).mkdir()
        _write_rows(data, folder / "bytes", _photo_schema(ScalarCodec(BinaryType()), np.bytes_, ()))
        os.link(folder / "bytes" / _PART, folder / "image" / _PART)
        _write_notes(folder / "image", _photo_schema(CompressedImageCodec("jpeg", 90), np.uint8, (None, None, 3)))
        return
    path = folder / _PART
    if work.kind == "table":
        table = pa.table({name: np.ascontiguousarray(data.array[:, i]) for i, name in enumerate(COLUMNS)})
        pq.write_table(table, path, row_group_size=_TABLE_ROWS_PER_GROUP, **_PLAIN)
        return
    field = UnischemaField("x", np.dtype(work.dtype).type, work.shape, NdarrayCodec(), False)
    _write_rows(data, folder, Unischema("Tensors", [field]))


def open_loader(data: Data, folder: Path, options: dict[str, Any], seed: int) -> Petastorm:
    """Read with its best pool."""
    return Petastorm(data, folder, options, seed)


def _photo_schema(codec: Any, dtype: Any, shape: tuple[int | None, ...]) -> Unischema:
    image = UnischemaField("image", dtype, shape, codec, False)
    return Unischema("Photos", [image, UnischemaField("id", np.int64, (), ScalarCodec(LongType()), False)])


def _write_rows(data: Data, folder: Path, unischema: Unischema) -> None:
    work = data.workload
    is_photos = work.kind == "photos"
    schema = pa.schema([("image", pa.binary()), ("id", pa.int64())] if is_photos else [("x", pa.binary())])
    # The audit needs many row groups: those are what its pools lose and reorder.
    step = 100 if work.name == "audit" else max(1, _ROW_GROUP_BYTES * work.rows // data.source_bytes)
    with pq.ParquetWriter(folder / _PART, schema, write_statistics=False, **_PLAIN) as out:
        for start in range(0, work.rows, step):
            rows = [_encoded(data, unischema, index) for index in range(start, min(start + step, work.rows))]
            out.write_table(pa.Table.from_pylist(rows, schema), row_group_size=step)
    _write_notes(folder, unischema)


def _write_notes(folder: Path, unischema: Unischema) -> None:
    file = pq.ParquetFile(folder / _PART)
    notes = {
        b"dataset-toolkit.unischema.v1": pickle.dumps(unischema),
        b"dataset-toolkit.num_row_groups_per_file.v1": json.dumps({_PART: file.num_row_groups}).encode(),
    }
    pq.write_metadata(file.schema_arrow.with_metadata(notes), folder / "_common_metadata")


def _encoded(data: Data, unischema: Unischema, index: int) -> dict[str, Any]:
    if data.workload.kind == "photos":
        return {"image": data.photo(index), "id": index}
    field = unischema.fields["x"]
    return {"x": bytes(field.codec.encode(field, np.array(data.array[index])))}
