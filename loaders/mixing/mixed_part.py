"""One reader of a mixture as a stream of units that can be placed anywhere. See `loaders.mixing.mix`."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from loaders.axes import Array, Ints
from loaders.decoding.values import Batch
from loaders.engine.batches import IS_PAD
from loaders.errors import FormatError
from loaders.format.fields import Field

Columns = dict[str, tuple[object, ...]]
"""{column: what a batch of it is}: ("array" | "masked", dtype, shape of a row) or ("list",)."""


class MixSource(Protocol):
    """What is used of a `Reader`."""

    def __next__(self) -> Batch: ...

    def state_dict(self) -> dict[str, object]: ...

    def load_state_dict(self, state: Mapping[str, object]) -> None: ...

    def stats(self) -> object: ...

    def close(self) -> None: ...

    @property
    def fields(self) -> tuple[Field, ...]: ...

    @property
    def classes(self) -> tuple[str, ...]: ...

    @property
    def rows(self) -> int: ...

    @property
    def steps_per_epoch(self) -> int: ...


@dataclass(frozen=True, slots=True)
class MixRows:
    """Rows of one or more batches, in order.

    Attributes:
        pieces: (batch, which of its rows), nowhere empty.
    """

    pieces: tuple[tuple[Batch, Ints], ...]

    def of(self, column: str) -> list[tuple[Array, Ints]]:
        """Return (values of the batch, which of them) of a column."""
        return [(batch[column], index) for batch, index in self.pieces]

    def split(self, places: Ints) -> list[Ints]:
        """Cut what belongs to the rows as they are cut into pieces."""
        edges = np.cumsum([len(index) for _, index in self.pieces])[:-1]
        return np.split(places, edges) if self.pieces else []


class Part:
    """The units of one reader: a unit is the next row of each of the mixture's lanes that this rank serves.

    The reader's C lanes are cut into `lanes` blocks of neighbours; a block gives its rows in the reader's order. So a
    unit is the same rows however many ranks there are.
    """

    def __init__(self, name: str, reader: MixSource, world: int, lanes: int) -> None:
        self.name = name
        self.columns: Columns = {}
        self._reader = reader
        state = reader.state_dict()
        total, its_lanes = int(str(state["global_batch"])), int(str(state["lanes"]))
        if its_lanes % lanes:
            raise FormatError(
                f"{name}: its {its_lanes} lanes cannot be shared by the mixture's {lanes}; open it with "
                f"Shuffle(lanes=...) a multiple of {lanes}"
            )
        self._batch_rows = total // world
        self._units_per_batch = total // lanes
        # On one lane the last batch of an epoch is used too: its filler comes after all rows.
        self._is_whole = lanes == 1 and state["tail"] != "drop"
        rows = reader.rows if self._is_whole else reader.rows // total * total
        self.units_per_epoch = rows // lanes
        if not self.units_per_epoch:
            raise FormatError(f"{name}: its {reader.rows} rows fill no batch of {total}; open it with a smaller batch")
        # index[u, b]: row of the batch that block b gives as its u-th; rows of a batch are (row of lane, lane).
        width, blocks = its_lanes // lanes, lanes // world
        unit = np.arange(self._units_per_batch)[:, None]
        self._index = unit // width * (width * blocks) + np.arange(blocks) * width + unit % width
        self._held: deque[tuple[Batch, int, int]] = deque()
        self._next = 0  # the unit with which the reader's next batch begins
        self._skip = 0  # units of it that are left out
        self._surplus = 0  # batches before it that are left out
        self._refusal: FormatError | None = None

    def state_at(self, units: int) -> dict[str, object]:
        """Return the reader's state at the beginning of the batch that holds a unit."""
        epoch, unit = divmod(units, self.units_per_epoch)
        return {**self._reader.state_dict(), "epoch": epoch, "step": unit // self._units_per_batch}

    def seek(self, units: int) -> None:
        """Let `units` be the next unit to be taken."""
        state = self.state_at(units)
        if self._reader.state_dict() != state:
            self._reader.load_state_dict(state)
        self._held.clear()
        self._refusal = None
        self._surplus = 0
        self._skip = units % self.units_per_epoch % self._units_per_batch
        self._next = units - self._skip

    def fill(self, units: int) -> None:
        """Have at least so many units at hand, and one, so that columns are known. It can be called again."""
        while sum(last - first for _, first, last in self._held) < max(1, units):
            self._fetch()

    def take(self, units: int) -> MixRows:
        """Return the rows of the next units, unit by unit. They must be at hand."""
        pieces = []
        while units:
            batch, first, last = self._held.popleft()
            some = min(units, last - first)
            pieces.append((batch, self._index[first : first + some].ravel()))
            if first + some < last:
                self._held.appendleft((batch, first + some, last))
            units -= some
        return MixRows(tuple(pieces))

    def _fetch(self) -> None:
        if self._refusal is not None:
            raise self._refusal
        while self._surplus:
            self._next_batch()
            self._surplus -= 1
        batch = self._next_batch()
        unit = self._next % self.units_per_epoch
        count = min(self._units_per_batch, self.units_per_epoch - unit)
        try:
            self._check(batch, count)
        except FormatError as error:
            self._refusal = error  # the batch is gone, so there is no going on
            raise
        self._held.append((batch, self._skip, count))
        self._next += count
        self._skip = 0
        if unit + count == self.units_per_epoch:
            self._surplus = self._reader.steps_per_epoch - (unit // self._units_per_batch + 1)

    def _next_batch(self) -> Batch:
        try:
            return next(self._reader)
        except StopIteration:  # the end of a pass: the next one goes on
            return next(self._reader)

    def _check(self, batch: Batch, units: int) -> None:
        """Refuse a batch of other columns than before, or of fewer rows; add `is_pad` if it has none."""
        rows = {len(values) for values in batch.values()}
        batch.setdefault(IS_PAD, np.zeros(max(rows, default=0), dtype=bool))
        expected = {self._batch_rows} | ({units} if self._is_whole else set())
        if len(rows) != 1 or not rows <= expected:
            raise FormatError(
                f"{self.name}: expected a batch of {self._batch_rows} rows, found columns of {sorted(rows)}; readers "
                "and mixture need the same Shard, a transform must keep the rows, and skipping needs tail='pad'"
            )
        columns = {name: self._kind(name, values) for name, values in batch.items()}
        if self.columns and columns != self.columns:
            raise FormatError(f"{self.name}: columns were {self.columns}, in this batch they are {columns}")
        self.columns = columns

    def _kind(self, name: str, values: object) -> tuple[object, ...]:
        if isinstance(values, list):
            return ("list",)
        if isinstance(values, np.ndarray):
            return ("masked" if isinstance(values, np.ma.MaskedArray) else "array", values.dtype, values.shape[1:])
        raise FormatError(
            f"{self.name}: column {name} is a {type(values).__name__}; a mixture joins numpy arrays and lists, convert "
            "what comes out of it"
        )
