"""What the loaders built on torch's DataLoader have in common."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from benchmarks.loaders.peers import Batch


class Transform:
    """The photo transform with a random generator of its own in every process that uses it."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._generator: random.Random | None = None

    def __call__(self, jpeg: bytes) -> Any:
        from benchmarks.loaders.transform import decode_and_crop

        return decode_and_crop(jpeg, self.generator())

    def generator(self) -> random.Random:
        """Return the generator of this process."""
        if self._generator is None:
            info = torch.utils.data.get_worker_info()
            self._generator = random.Random(self._seed * 1000 + (info.id if info else 0))
        return self._generator


class Crop(Transform):
    """The same for a loader that decodes by itself."""

    def __call__(self, image: Any) -> Any:
        from benchmarks.loaders.transform import crop

        return crop(image, self.generator())


class TorchLoader:
    """A DataLoader whose `epoch` is told to whom it may concern."""

    def __init__(self, loader: DataLoader[Any], set_epoch: Callable[[int], object] | None = None) -> None:
        self.loader, self._set_epoch = loader, set_epoch

    def epoch(self, number: int) -> Iterator[Batch]:
        """Return the batches of one epoch."""
        if self._set_epoch is not None:
            self._set_epoch(number)
        return iter(self.loader)

    def close(self) -> None:
        """Let the workers end: those of `persistent_workers` do so with the iterator."""
        self.loader._iterator = None


class EpochSampler:
    """All indices in a random order of seed and epoch, as whole batches."""

    def __init__(self, rows: int, batch: int, seed: int) -> None:
        self._rows, self._batch, self._seed, self._epoch = rows, batch, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the order."""
        self._epoch = epoch

    def __len__(self) -> int:
        return -(-self._rows // self._batch)

    def __iter__(self) -> Iterator[list[int]]:
        generator = torch.Generator().manual_seed(self._seed * 1000 + self._epoch)
        order = torch.randperm(self._rows, generator=generator).tolist()
        for start in range(0, self._rows, self._batch):
            yield order[start : start + self._batch]


def stacked(samples: Sequence[Batch]) -> Batch:
    """Collate arrays by `np.stack` into one tensor each; a sample is a small dict."""
    return {name: torch.from_numpy(np.stack([sample[name] for sample in samples])) for name in samples[0]}


def worker_options(options: dict[str, Any]) -> dict[str, Any]:
    """Return the DataLoader arguments of a setting: workers that live on from epoch to epoch."""
    workers = int(options["workers"])
    return {"num_workers": workers, "persistent_workers": workers > 0}
