"""Lance 14 without LanceDB: `iter` shuffles whole batches of neighbours (LanceDataset), `take` shuffles rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lance
import torch
from lance.sampler import ShardedBatchSampler
from lance.torch.data import LanceDataset

from benchmarks.loaders.peers import Batch
from benchmarks.loaders.peers.lance_table import rows_of, tables
from benchmarks.loaders.peers.torch_parts import EpochSampler
from benchmarks.loaders.workloads import COLUMNS, Data, Workload


class ToBatch:
    """RecordBatch to tensors, without a copy."""

    def __init__(self, workload: Workload) -> None:
        self._workload = workload

    def __call__(self, batch: Any, **_: Any) -> Batch:
        if self._workload.kind == "table":
            return {name: torch.from_numpy(batch.column(name).to_numpy()) for name in COLUMNS}
        return {"x": torch.from_numpy(rows_of(batch, self._workload))}


class Lance:
    """Both ways of reading."""

    def __init__(self, data: Data, folder: Path, options: dict[str, Any], seed: int) -> None:
        self._dataset = lance.dataset(str(folder / "data.lance"))
        self._work, self._style, self._seed = data.workload, options["style"], seed

    def epoch(self, number: int) -> Iterator[Batch]:
        """Return the batches of one epoch."""
        to_batch = ToBatch(self._work)
        if self._style == "iter":
            sampler = ShardedBatchSampler(0, 1, randomize=True, seed=self._seed * 1000 + number)
            yield from LanceDataset(self._dataset, self._work.batch, sampler=sampler, to_tensor_fn=to_batch)
            return
        order = EpochSampler(self._work.rows, self._work.batch, self._seed)
        order.set_epoch(number)
        for indices in order:
            yield to_batch(self._dataset.take(indices).combine_chunks())

    def close(self) -> None:
        """Nothing outlives the iterator."""


def prepare(data: Data, folder: Path) -> None:
    """Write one dataset."""
    for table in tables(data):
        lance.write_dataset(table, str(folder / "data.lance"), mode="append" if any(folder.iterdir()) else "create")


def open_loader(data: Data, folder: Path, options: dict[str, Any], seed: int) -> Lance:
    """Read in process."""
    return Lance(data, folder, options, seed)
