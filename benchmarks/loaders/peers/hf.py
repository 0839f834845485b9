"""HF datasets 5: an Arrow file, map style. Photos through DataLoader workers, arrays as Arrow batches in process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
from torch.utils.data import DataLoader

from benchmarks.loaders.peers import Batch
from benchmarks.loaders.peers.lance_table import rows_of, tables
from benchmarks.loaders.peers.torch_parts import EpochSampler, TorchLoader, Transform, stacked, worker_options
from benchmarks.loaders.workloads import COLUMNS, Data

datasets.disable_progress_bars()


class ArrowBatches:
    """`with_format("arrow")`, one `dataset[indices]` for each batch: numpy formats would widen uint8 to int64."""

    def __init__(self, dataset: Any, data: Data, seed: int) -> None:
        self._dataset, self._work, self._seed = dataset, data.workload, seed

    def epoch(self, number: int) -> Iterator[Batch]:
        """Return the batches of one epoch."""
        order = EpochSampler(self._work.rows, self._work.batch, self._seed)
        order.set_epoch(number)
        for indices in order:
            table = self._dataset[indices]
            if self._work.kind == "table":
                yield {name: torch.from_numpy(table.column(name).to_numpy()) for name in COLUMNS}
            else:
                yield {"x": torch.from_numpy(rows_of(table, self._work))}

    def close(self) -> None:
        """Nothing outlives the iterator."""


class Decode:
    """The transform of `with_transform`: a batch of one as DataLoader fetches it, or of many."""

    def __init__(self, seed: int) -> None:
        self._decode = Transform(seed)

    def __call__(self, batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        return {"image": [self._decode(jpeg) for jpeg in batch["image"]], "id": [np.int64(i) for i in batch["id"]]}


class Buffered:
    """The streaming kind with a shuffle buffer, for the order audit: the map style has no state to save."""

    def __init__(self, loader: TorchLoader, dataset: Any) -> None:
        self._loader, self._dataset = loader, dataset
        self.epoch, self.close = loader.epoch, loader.close
        self.state_dict, self.load_state_dict = dataset.state_dict, dataset.load_state_dict


def prepare(data: Data, folder: Path) -> None:
    """Write one Arrow dataset."""
    parts = [datasets.Dataset(datasets.table.InMemoryTable(table)) for table in tables(data)]
    datasets.concatenate_datasets(parts).save_to_disk(str(folder / "data"))


def open_loader(data: Data, folder: Path, options: dict[str, Any], seed: int) -> Any:
    """Read with shuffled batches of indices; `style="stream"` is the iterable kind."""
    dataset = datasets.load_from_disk(str(folder / "data"))
    work = data.workload
    if options.get("style") == "stream":
        stream = dataset.to_iterable_dataset(num_shards=4).shuffle(seed=seed, buffer_size=500).with_format("arrow")

        def collate(rows: list[Any]) -> Batch:
            return {"x": torch.from_numpy(np.concatenate([rows_of(row, work) for row in rows]))}

        loader = DataLoader(stream, batch_size=work.batch, collate_fn=collate, **worker_options(options))
        return Buffered(TorchLoader(loader, stream.set_epoch), stream)
    if work.kind != "photos":
        return ArrowBatches(dataset.with_format("arrow"), data, seed)
    sampler = EpochSampler(work.rows, work.batch, seed)
    decoded = dataset.with_transform(Decode(seed))
    loader = DataLoader(decoded, batch_sampler=sampler, collate_fn=stacked, **worker_options(options))
    return TorchLoader(loader, sampler.set_epoch)
