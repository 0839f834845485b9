"""Runs of readers over numbered rows: what all ranks together deliver, in the order of ORDER.md."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from loaders import Field, Layout, Reader, ReadOptions, Shard, write_dataset

NUMBERED = (Field("number", pa.int64()), Field("name", pa.string(), nullable=True))

POOLS: dict[str, dict[str, Any]] = {
    "inline": {"pool": "inline"},
    "1 thread": {"workers": 1, "read_threads": 1, "prefetch": 1},
    "2 threads": {"workers": 2},
    "4 threads": {"workers": 4, "read_threads": 3, "prefetch": 9},
    "1 process": {"pool": "processes", "workers": 1},
    "2 processes": {"pool": "processes", "workers": 2},
}


def write_numbered(folder: Path, count: int, *, rows_per_group: int = 5) -> Path:
    """Publish rows 0 ... count-1 in row groups of about, but not always, that many rows; return the split."""
    numbers = range(count)
    data = pa.table(
        {
            "entity_id": [f"id-{n:04d}" for n in numbers],
            "number": pa.array(numbers, pa.int64()),
            "name": [None if n % 7 == 3 else f"n{n}" for n in numbers],
            "bytes": pa.array([36 + 40 * (n % 3 - 1) for n in numbers], pa.int64()),  # 64 more for the rest of a row
        }
    )
    layout = Layout(row_group_bytes=100 * rows_per_group, part_bytes=400 * rows_per_group)
    write_dataset(data, NUMBERED, folder, seed=3, layout=layout)
    return folder / "train"


def options_of(pool: str, **others: Any) -> ReadOptions:
    """Return the options of one of `POOLS`."""
    return ReadOptions(**{**POOLS[pool], **others})


def steps_of(ranks: list[list[dict[str, Any]]], *, lanes: int) -> list[tuple[list[int], list[bool]]]:
    """Put the batches of all ranks together: numbers and padding of each step, by place in the global order.

    Row i * L + l of the batch of rank r is place i * C + r * L + l of the step.
    """
    assert len({len(batches) for batches in ranks}) == 1, "all ranks take the same number of steps"
    each = lanes // len(ranks)
    found = []
    for batches in zip(*ranks, strict=True):
        # Ragged batches are of one rank only, and in order as they are.
        shape = (-1, each) if len(ranks) > 1 else (-1, 1)
        numbers = [batch["number"].reshape(shape) for batch in batches]
        pads = [batch.get("is_pad", np.zeros(len(batch["number"]), dtype=bool)).reshape(shape) for batch in batches]
        found.append((np.hstack(numbers).ravel().tolist(), np.hstack(pads).ravel().tolist()))
    return found


def read_ranks(make: Callable[[Shard], Reader], world: int) -> tuple[list[list[dict[str, Any]]], dict[str, Any]]:
    """Return the batches of one pass of each rank, and the state at its end, which is the same on all."""
    ranks, states = [], []
    for rank in range(world):
        with make(Shard(rank, world)) as reader:
            ranks.append(list(reader))
            states.append(reader.state_dict())
    assert all(state == states[0] for state in states), "the state is the same on all ranks"
    return ranks, states[0]
