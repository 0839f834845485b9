"""WebDataset 1.0: tar shards of about 16 MB, shards shuffled, then a buffer of 1,000 samples (its usual setting)."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import webdataset
from torch.utils.data import DataLoader

from benchmarks.loaders.peers import Batch
from benchmarks.loaders.peers.torch_parts import TorchLoader, Transform, stacked, worker_options
from benchmarks.loaders.workloads import Data

_SHARD_BYTES = 16e6
_BUFFER = 1000


class Decode:
    """Members of the tar to a sample."""

    def __init__(self, seed: int) -> None:
        self._decode = Transform(seed)

    def __call__(self, sample: dict[str, Any]) -> Batch:
        if "npy" in sample:
            return {"x": np.load(io.BytesIO(sample["npy"]))}
        return {"image": self._decode(sample["jpg"]), "id": np.int64(sample["cls"])}


class Shards(TorchLoader):
    """A pipeline whose shuffles are seeded; it reshuffles in every pass by itself."""


def prepare(data: Data, folder: Path) -> None:
    """Write one tar member for each photo or array."""
    work = data.workload
    with webdataset.ShardWriter(str(folder / "%05d.tar"), maxsize=_SHARD_BYTES, maxcount=100_000, verbose=0) as writer:
        for index in range(work.rows):
            sample: dict[str, Any] = {"__key__": f"{index:07d}"}
            if work.kind == "photos":
                sample |= {"jpg": data.photo(index), "cls": str(index).encode()}
            else:
                out = io.BytesIO()
                np.save(out, data.array[index])
                sample["npy"] = out.getvalue()
            writer.write(sample)


def open_loader(data: Data, folder: Path, options: dict[str, Any], seed: int) -> Shards:
    """Read with worker processes, which batch by themselves."""
    shards = sorted(str(path) for path in folder.glob("*.tar"))
    pipeline = (
        webdataset.WebDataset(shards, shardshuffle=len(shards), seed=seed, nodesplitter=webdataset.split_by_node)
        .shuffle(_BUFFER, seed=seed)
        .map(Decode(seed))
        .batched(data.workload.batch, collation_fn=_stacked)
    )
    return Shards(DataLoader(pipeline, batch_size=None, **worker_options(options)))


def _stacked(samples: list[Batch]) -> Batch:
    """Leave out `__key__`, which `map` adds again."""
    return stacked([{name: value for name, value in sample.items() if name[0] != "_"} for sample in samples])
