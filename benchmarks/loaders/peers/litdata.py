"""LitData 0.2: chunks of 64 MB written by `optimize`'s writer, read by its StreamingDataLoader, default shuffle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from litdata import StreamingDataLoader, StreamingDataset
from litdata.streaming.cache import Cache

from benchmarks.loaders.peers import Batch
from benchmarks.loaders.peers.torch_parts import TorchLoader, Transform, stacked, worker_options
from benchmarks.loaders.workloads import Data


class Decode:
    """Its transform of one sample."""

    def __init__(self, seed: int) -> None:
        self._decode = Transform(seed)

    def __call__(self, sample: dict[str, Any]) -> Batch:
        if "x" in sample:
            return {"x": np.asarray(sample["x"])}
        return {"image": self._decode(sample["image"]), "id": np.int64(sample["id"])}


class Lit(TorchLoader):
    """Its epochs count themselves."""

    def __init__(self, loader: StreamingDataLoader) -> None:
        super().__init__(loader)
        self.state_dict, self.load_state_dict = loader.state_dict, loader.load_state_dict


def prepare(data: Data, folder: Path) -> None:
    """Write chunks of 64 MB."""
    work = data.workload
    cache = Cache(str(folder), chunk_bytes="64MB")
    for index in range(work.rows):
        if work.kind == "photos":
            cache[index] = {"image": data.photo(index), "id": index}
        else:
            cache[index] = {"x": torch.from_numpy(np.array(data.array[index]))}
    cache.done()
    cache.merge()


def open_loader(data: Data, folder: Path, options: dict[str, Any], seed: int) -> Lit:
    """Read with worker processes."""
    dataset = StreamingDataset(str(folder), shuffle=True, drop_last=False, seed=seed, transform=Decode(seed))
    batch = data.workload.batch
    return Lit(StreamingDataLoader(dataset, batch_size=batch, collate_fn=_stacked, **worker_options(options)))


def _stacked(samples: list[Batch]) -> Batch:
    return stacked(samples)
