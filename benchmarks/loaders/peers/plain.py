"""torch's DataLoader over files that the user wrote: JPEG files in folders, or one array mapped with numpy.

Photos are fetched one by one. Arrays are fetched as whole batches (`__getitems__`), the best that a user can do.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from benchmarks.loaders.peers import Batch
from benchmarks.loaders.peers.torch_parts import EpochSampler, TorchLoader, Transform, stacked, worker_options
from benchmarks.loaders.workloads import Data


class Photos(Dataset[Batch]):
    """JPEG files, decoded one by one."""

    def __init__(self, folder: Path, rows: int, seed: int) -> None:
        self._folder, self._rows, self._transform = folder, rows, Transform(seed)

    def __len__(self) -> int:
        return self._rows

    def __getitem__(self, index: int) -> Batch:
        return {"image": self._transform(_photo_path(self._folder, index).read_bytes()), "id": np.int64(index)}


class Array(Dataset[Batch]):
    """One mapped array, gathered batch by batch."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._array: np.ndarray[Any, Any] = np.load(path, mmap_mode="r")

    def __len__(self) -> int:
        return len(self._array)

    def __getitems__(self, indices: list[int]) -> Batch:
        """Return a batch: tensors of shape (rows, ...)."""
        return {"x": torch.from_numpy(self._array[indices])}


def prepare(data: Data, folder: Path) -> None:
    """Write one file for each photo, or `array.npy`."""
    if data.workload.kind != "photos":
        np.save(folder / "array.npy", data.array)
        return
    for index in range(data.workload.rows):
        path = _photo_path(folder, index)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data.photo(index))


def open_loader(data: Data, folder: Path, options: dict[str, Any], seed: int) -> TorchLoader:
    """Read with shuffled batches of indices."""
    work = data.workload
    is_photos = work.kind == "photos"
    dataset: Dataset[Batch] = Photos(folder, work.rows, seed) if is_photos else Array(folder / "array.npy")
    sampler = EpochSampler(work.rows, work.batch, seed)
    collate = stacked if is_photos else _as_is
    loader = DataLoader(dataset, batch_sampler=sampler, collate_fn=collate, **worker_options(options))
    return TorchLoader(loader, sampler.set_epoch)


def _as_is(batch: Batch) -> Batch:
    return batch


def _photo_path(folder: Path, index: int) -> Path:
    return folder / f"{index % 100:02d}" / f"{index:05d}.jpg"
