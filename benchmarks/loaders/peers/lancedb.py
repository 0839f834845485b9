"""LanceDB 0.40: `lancedb.streaming.StreamingDataset`, in process, `workers` = `transform_parallelism`.

Its rows come one by one; they are stacked into batches here, as torch's DataLoader without workers would do. The order
audit also reads it as `pool="processes"`, through its StreamingDataLoader.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lancedb
import pyarrow as pa
from lancedb.streaming import StreamingDataLoader, StreamingDataset

from benchmarks.loaders.peers import Batch
from benchmarks.loaders.peers.lance_table import rows_of, tables
from benchmarks.loaders.peers.torch_parts import Transform, stacked
from benchmarks.loaders.workloads import Data, Workload


class RowsOf:
    """RecordBatch to samples; photos are decoded here, in LanceDB's transform threads."""

    def __init__(self, workload: Workload, seed: int) -> None:
        self._workload, self._decode = workload, Transform(seed)

    def __call__(self, batch: pa.RecordBatch) -> list[Batch]:
        if self._workload.kind == "photos":
            ids = batch.column("id").to_numpy()
            images = [self._decode(jpeg) for jpeg in batch.column("image").to_pylist()]
            return [{"image": image, "id": number} for image, number in zip(images, ids, strict=True)]
        return [{"x": row} for row in rows_of(batch, self._workload)]


class Streaming:
    """A dataset object for each epoch, as its documentation has it."""

    def __init__(self, data: Data, folder: Path, options: dict[str, Any], seed: int) -> None:
        self._table = lancedb.connect(str(folder)).open_table("data")
        self._data, self._workers, self._seed = data, int(options["workers"]), seed
        self._processes = options.get("pool") == "processes"
        self._state: dict[str, Any] | None = None
        self._dataset: StreamingDataset | None = None

    def epoch(self, number: int) -> Iterator[Batch]:
        """Return the batches of one epoch."""
        work = self._data.workload
        dataset = StreamingDataset(
            self._table, shuffle_seed=self._seed, epoch=number, read_batch_size=max(64, work.batch),
            transform=RowsOf(work, self._seed), transform_parallelism=self._workers,
            num_splits=2 if self._processes else 1,
        )  # fmt: skip
        self._dataset = dataset
        if self._state is not None:
            dataset.load_state_dict(self._state)
            self._state = None
        if self._processes:
            workers: dict[str, Any] = {"num_workers": self._workers, "multiprocessing_context": "spawn"}
            yield from StreamingDataLoader(dataset, work.batch, collate_fn=stacked, **workers)
            return
        samples: list[Batch] = []
        for sample in dataset:
            samples.append(sample)
            if len(samples) == work.batch:
                yield stacked(samples)
                samples = []
        if samples:
            yield stacked(samples)

    def state_dict(self) -> dict[str, Any]:
        """Return the position after the last batch."""
        assert self._dataset is not None
        return dict(self._dataset.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there in the next epoch that is opened."""
        self._state = state

    def close(self) -> None:
        """Nothing outlives the iterator."""


def prepare(data: Data, folder: Path) -> None:
    """Write one table."""
    stream = tables(data)
    table = lancedb.connect(str(folder)).create_table("data", next(stream))
    for more in stream:
        table.add(more)


def open_loader(data: Data, folder: Path, options: dict[str, Any], seed: int) -> Streaming:
    """Read the table, shuffled globally."""
    return Streaming(data, folder, options, seed)
