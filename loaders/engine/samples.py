"""A transform that sees one sample at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from loaders.decoding.values import Batch

Sample = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PerSample:
    """Calls a function with each sample and puts the results together. Make one with `per_sample`."""

    function: Callable[[Sample], Mapping[str, object]]

    def __call__(self, batch: Batch) -> Batch:
        """Return the batch of what the function made of each sample; padding and seeds stay as they are."""
        kept = {name: batch[name] for name in batch if name in ("is_pad",)}
        columns = {name: values for name, values in batch.items() if name not in kept}
        rows = len(next(iter(columns.values()))) if columns else 0
        results = [self.function({name: values[row] for name, values in columns.items()}) for row in range(rows)]
        return {**_collated(results), **kept}


def per_sample(function: Callable[[Sample], Mapping[str, object]]) -> PerSample:
    """Make a transform of batches from a function of samples.

    Args:
        function: Called with {column: value} of one sample: arrays without the batch axis, numpy scalars, text. With a
            shuffle also `_sample_seed`, a uint64 that depends on seed, epoch and sample alone, so that augmentation
            is the same whatever ranks and workers there are. Returns a dict, for every sample with the same names.

    Example::

        def augmented(sample):
            random = np.random.default_rng(int(sample["_sample_seed"]))
            image = sample["image"][:, ::-1] if random.random() < 0.5 else sample["image"]
            return {"image": image, "label": sample["label_index"]}

        make_reader(folder, batch_size=64, shuffle=Shuffle(seed=7), transform=per_sample(augmented))
    """
    return PerSample(function)


def _collated(results: list[Mapping[str, Any]]) -> Batch:
    batch: Batch = {}
    for name in results[0] if results else ():
        values = [result[name] for result in results]
        first = values[0]
        is_array = all(isinstance(value, np.ndarray | np.generic) for value in values)
        is_same = is_array and all(value.shape == first.shape and value.dtype == first.dtype for value in values)
        is_number = all(isinstance(value, bool | int | float) for value in values)
        batch[name] = np.stack(values) if is_same else np.asarray(values) if is_number else values
    return batch
