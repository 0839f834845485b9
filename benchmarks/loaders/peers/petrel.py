"""Petrel itself, in the environment of the project, as `make_reader` comes unless a setting says otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.loaders.peers import Batch
from benchmarks.loaders.workloads import COLUMNS, Data
from loaders import Field, ReadOptions, Shuffle, make_reader, write_dataset


class Petrel:
    """One reader for all epochs."""

    def __init__(self, data: Data, folder: Path, options: dict[str, Any], seed: int) -> None:
        self._work, self._folder = data.workload, folder / "set" / "train"
        self._reader = make_reader(self._folder, **_arguments(data, options, seed))

    def epoch(self, number: int) -> Iterator[Batch]:
        """Return the batches of one epoch."""
        del number  # it counts itself
        return islice(self._reader, self._reader.steps_per_epoch - self._reader.step)

    def stored_ids(self) -> Any:
        """Return the ids in the order of the files: rows are placed by a hash when they are written."""
        name = {"photos": "id", "tensors": "x", "table": COLUMNS[0]}[self._work.kind]
        options = ReadOptions(tail="ragged")
        with make_reader(self._folder, batch_size=self._work.batch, columns=[name], options=options) as reader:
            from benchmarks.loaders.child import ids_of

            return np.concatenate([ids_of(batch, self._work).copy() for batch in reader])

    def state_dict(self) -> dict[str, Any]:
        """Return the position after the last batch."""
        return dict(self._reader.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self._reader.load_state_dict(state)

    def close(self) -> None:
        """End its workers."""
        self._reader.close()


def prepare(data: Data, folder: Path) -> None:
    """Publish the rows as a dataset with one split."""
    work = data.workload
    names = pa.array([f"{index:07d}" for index in range(work.rows)])
    if work.kind == "photos":
        fields = [Field("image", pa.binary(), codec="image", shape=(None, None, 3)), Field("id", pa.int64())]
        photos = pa.array([data.photo(index) for index in range(work.rows)], pa.binary())
        rows = pa.table({"entity_id": names, "image": photos, "id": np.arange(work.rows)})
    elif work.kind == "table":
        fields = [Field(name, pa.float32()) for name in COLUMNS]
        columns = {name: np.ascontiguousarray(data.array[:, index]) for index, name in enumerate(COLUMNS)}
        rows = pa.table({"entity_id": names, **columns})
    else:
        fields = [Field("x", pa.binary(), codec="ndarray", shape=work.shape, dtype=work.dtype)]
        flat = np.array(data.array).reshape(work.rows, -1)
        rows = pa.table({"entity_id": names, "x": pa.array([row.tobytes() for row in flat], pa.binary())})
    write_dataset(rows, fields, folder / "set", seed=7)


def open_loader(data: Data, folder: Path, options: dict[str, Any], seed: int) -> Petrel:
    """Read shuffled, with the tail ragged as all others have it."""
    return Petrel(data, folder, options, seed)


def _arguments(data: Data, options: dict[str, Any], seed: int) -> dict[str, Any]:
    choices = {name: options[name] for name in ("pool", "workers") if options.get(name) is not None}
    arguments: dict[str, Any] = {
        "batch_size": data.workload.batch,
        "shuffle": Shuffle(seed=seed),
        "options": ReadOptions(tail="ragged", **choices),
        "epochs": None,
    }
    if data.workload.kind == "photos":
        from loaders.decoding.decoders import RandomResizedCrop

        arguments["decoders"] = {"image": RandomResizedCrop(224, decode=options["decode"])}
    return arguments
