"""One module for each loader, all with the same face:

    prepare(data, folder)                           write the data in the loader's own format into an empty folder
    open_loader(data, folder, options, seed) -> Loader

`options` are those of `plan.py`, one small dict for each setting; `workers` is always among them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

Batch = dict[str, Any]
"""photos: `image` and `id`; tensors: `x`; table: `x` of shape (rows, 20), or one array for each column."""


class Loader(Protocol):
    """What is measured. Loaders that can resume also have `state_dict()` and `load_state_dict(state)`."""

    def epoch(self, number: int) -> Iterator[Batch]:
        """Return the batches of one epoch, shuffled; called with 0, 1, 2 ... one after the other."""

    def close(self) -> None:
        """Stop threads and processes."""
