"""MosaicML Streaming 0.13: MDS shards read by its StreamingDataLoader, py1e shuffle (its default)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from streaming import MDSWriter, StreamingDataLoader, StreamingDataset
from streaming.base.util import clean_stale_shared_memory

from benchmarks.loaders.peers import Batch
from benchmarks.loaders.peers.torch_parts import TorchLoader, Transform, stacked, worker_options
from benchmarks.loaders.workloads import Data


class Samples(StreamingDataset):
    """Samples as they come out of the shards; photos decoded with the transform of this benchmark."""

    def __init__(self, *, decode: Transform | None, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._decode = decode

    def __getitem__(self, at: int) -> Any:
        sample = super().__getitem__(at)
        if self._decode is None:
            return {"x": sample["x"]}
        return {"image": self._decode(sample["image"]), "id": np.int64(sample["id"])}


class Mds(TorchLoader):
    """Its epochs count themselves."""

    def __init__(self, loader: StreamingDataLoader) -> None:
        super().__init__(loader)
        self.state_dict, self.load_state_dict = loader.state_dict, loader.load_state_dict


def prepare(data: Data, folder: Path) -> None:
    """Write shards of 64 MiB (its default)."""
    work = data.workload
    shape = ",".join(map(str, work.shape))
    columns = {"image": "bytes", "id": "int"} if work.kind == "photos" else {"x": f"ndarray:{work.dtype}:{shape}"}
    with MDSWriter(out=str(folder), columns=columns) as writer:
        for index in range(work.rows):
            is_photo = work.kind == "photos"
            writer.write({"image": data.photo(index), "id": index} if is_photo else {"x": data.array[index]})


def open_loader(data: Data, folder: Path, options: dict[str, Any], seed: int) -> Mds:
    """Read with worker processes."""
    clean_stale_shared_memory()
    work = data.workload
    decode = Transform(seed) if work.kind == "photos" else None
    dataset = Samples(decode=decode, local=str(folder), shuffle=True, shuffle_seed=seed, batch_size=work.batch)
    return Mds(StreamingDataLoader(dataset, batch_size=work.batch, collate_fn=_stacked, **worker_options(options)))


def _stacked(samples: list[Batch]) -> Batch:
    return stacked(samples)
