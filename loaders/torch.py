"""Batches as tensors. The only file of the loaders that imports torch.

    from loaders.torch import tensors

    for batch in tensors(make_reader(folder, batch_size=64, shuffle=Shuffle(seed=7)), channels_first=["image"]):
        loss = model(batch["image"].float() / 255)          # uint8 (64, 3, H, W), no byte was copied
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import IterableDataset

from loaders.errors import FormatError
from loaders.reader import Reader


class TensorReader(IterableDataset[dict[str, Any]]):
    """A reader whose arrays come as tensors; lists and dates come as they are. Make one with `tensors`.

    Also a dataset: `DataLoader(tensors(reader), batch_size=None, num_workers=0)`.
    """

    def __init__(self, reader: Reader, channels_first: Sequence[str], device: torch.device | str | None) -> None:
        known = {field.name for field in reader.fields}
        unknown = sorted(set(channels_first) - known)
        if unknown:
            raise FormatError(f"channels_first names {unknown}, the reader has {sorted(known)}")
        self.reader = reader
        self._channels_first = frozenset(channels_first)
        self._device = None if device is None else torch.device(device)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for batch in self.reader:
            yield {name: self._convert(name, value) for name, value in batch.items()}

    def __len__(self) -> int:
        return len(self.reader)

    def __enter__(self) -> TensorReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the reader."""
        self.reader.close()

    def state_dict(self) -> dict[str, object]:
        """Return the reader's state."""
        return self.reader.state_dict()

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Restore the reader's state."""
        self.reader.load_state_dict(state)

    def _convert(self, name: str, value: Any) -> Any:
        if isinstance(value, np.ma.MaskedArray):
            if np.ma.is_masked(value):
                raise FormatError(
                    f"column {name} holds nulls, and a tensor cannot; fill them in the reader's transform, "
                    f"e.g. batch[{name!r}] = batch[{name!r}].filled(0)"
                )
            value = value.data
        if not isinstance(value, np.ndarray) or value.dtype.kind in "OMmUS":
            return value
        tensor = torch.from_numpy(value)
        if name in self._channels_first and tensor.ndim == 4:
            tensor = tensor.permute(0, 3, 1, 2)  # (N, H, W, C) to (N, C, H, W): torch's channels_last, no copy
        if self._device is None:
            return tensor
        if self._device.type == "cuda":
            return tensor.pin_memory().to(self._device, non_blocking=True)
        return tensor.to(self._device)


def tensors(
    reader: Reader, *, channels_first: Sequence[str] = (), device: torch.device | str | None = None
) -> TensorReader:
    """Wrap a reader so that it gives tensors.

    Args:
        reader: What to read; its state is the state of the result.
        channels_first: Columns of pictures (N, H, W, C) to give as (N, C, H, W), without a copy.
        device: Where to put the tensors; None leaves them over the reader's own arrays.

    Raises:
        FormatError: If a column is unknown, or, while iterating, holds nulls.
    """
    return TensorReader(reader, channels_first, device)
