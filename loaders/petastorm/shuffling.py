"""Stretches of rows cut into batches, in order or through a queue that shuffles; whatever the columns are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from loaders.petastorm.kinds import Value

Part: TypeAlias = Value
"""A column or a stretch of it: whatever has a length and gives a part as `column[start:stop]`."""

Columns: TypeAlias = dict[Value, Part]
"""Some rows: {name: column}."""

_AT_ONCE = 64  # batches cut ahead: a cut costs less for many, and each part takes memory, though it shares its bytes
_GATHERED_BYTES = 1 << 20  # batches of so many bytes are gathered at once: they stay in the processor's cache


class Waiting(Protocol):
    """The rows that wait, by slot."""

    def put(self, slots: NDArray[np.int64], columns: Columns, room: int) -> None:
        """Copy rows to their slots, all below `room`."""

    def take(self, slots: NDArray[np.int64]) -> Columns:
        """Return a copy of the rows of some slots."""

    @property
    def row_bytes(self) -> int | None:
        """Bytes of a row, if all have the same."""


class Kind(Protocol):
    """What can be done with columns, beside taking a part."""

    def cut(self, column: Part, size: int) -> Sequence[Part]:
        """Return a column, whose length `size` divides, as parts of that size."""

    def join(self, parts: list[Part]) -> Part:
        """Return parts as one column."""

    def waiting(self) -> Waiting:
        """Return a place for rows that wait."""


class Slots:
    """Places of waiting rows; rows are put into free ones and drawn uniformly, each once.

    What is drawn depends on the generator and on the order in which rows came, not on how many came at a time.
    """

    def __init__(self, generator: np.random.Generator) -> None:
        self._generator = generator
        self._slots = np.empty(0, np.int64)  # all slots, those of waiting rows first
        self._waiting = 0

    def __len__(self) -> int:
        """Rows that wait."""
        return self._waiting

    @property
    def room(self) -> int:
        """Slots there have ever been: every slot is below it."""
        return len(self._slots)

    def put(self, rows: int) -> NDArray[np.int64]:
        """Return slots for as many new rows; int64, shape (rows,)."""
        start, self._waiting = self._waiting, self._waiting + rows
        if self.room < self._waiting:
            self._slots = np.append(self._slots, np.arange(self.room, self._waiting))
        slots = self._slots[start : self._waiting]
        slots.sort()  # memory is written in order; which slot a row has does not matter
        return slots.copy()

    def draw(self, rows: int) -> NDArray[np.int64]:
        """Return the slots of as many waiting rows and free them; int64, shape (rows,), in random order.

        Every sequence of `rows` different waiting rows is equally likely: the same as drawing one after another.
        """
        chosen = self._generator.choice(self._waiting, rows, replace=False)
        drawn = self._slots[chosen]
        self._waiting -= rows
        last = self._slots[self._waiting : self._waiting + rows]
        is_last = chosen >= self._waiting
        stays = np.ones(rows, bool)  # of the last rows: they move to the places that became empty
        stays[chosen.take(np.flatnonzero(is_last)) - self._waiting] = False
        self._slots[chosen.take(np.flatnonzero(~is_last))] = last.take(np.flatnonzero(stays))
        last[:] = drawn
        return drawn


class InOrder:
    """Cuts stretches into batches; only a batch that lies across two stretches is copied."""

    def __init__(self, kind: Kind, batch_size: int) -> None:
        self._kind, self._batch_size = kind, batch_size
        self._held: list[Columns] = []
        self._rows = 0

    def add(self, columns: Columns, count: int) -> Iterator[Columns]:
        """Give the batches that are complete with `count` more rows."""
        size, start = self._batch_size, 0
        if self._rows:
            start = min(count, size - self._rows)
            self._hold(columns, 0, start)
            if self._rows == size:
                yield from self.end()
        whole = count - (count - start) % size
        for at in range(start, whole, _AT_ONCE * size):
            stop = min(whole, at + _AT_ONCE * size)
            yield from _cut(self._kind, {name: column[at:stop] for name, column in columns.items()}, size)
        if count > whole:
            self._hold(columns, whole, count)

    def end(self) -> Iterator[Columns]:
        """Give what is held as a batch."""
        held, self._held, self._rows = self._held, [], 0
        if held:
            yield {name: self._kind.join([part[name] for part in held]) for name in held[0]}

    def _hold(self, columns: Columns, start: int, stop: int) -> None:
        self._held.append({name: column[start:stop] for name, column in columns.items()})
        self._rows += stop - start


class Shuffled:
    """Lets rows wait and draws batches of them."""

    def __init__(self, kind: Kind, batch_size: int, capacity: int, whole: bool, generator: np.random.Generator) -> None:
        self._kind, self._batch_size, self._whole = kind, batch_size, whole
        self._full = capacity - 1 + batch_size
        self._slots = Slots(generator)
        self._waiting = kind.waiting()

    def add(self, columns: Columns, count: int) -> Iterator[Columns]:
        """Let rows wait, as if they came one by one, or all at once if they are whole; draw while enough wait."""
        start = 0
        while start < count:
            stop = count if self._whole else min(count, start + self._full - len(self._slots))
            part = {name: column[start:stop] for name, column in columns.items()}
            self._waiting.put(self._slots.put(stop - start), part, self._slots.room)
            start = stop
            if (more := len(self._slots) - self._full) >= 0:
                yield from self._draw(more // self._batch_size + 1)

    def end(self) -> Iterator[Columns]:
        """Draw all."""
        yield from self._draw(len(self._slots) // self._batch_size)
        if len(self._slots):
            yield self._waiting.take(self._slots.draw(len(self._slots)))

    def _draw(self, batches: int) -> Iterator[Columns]:
        """Draw whole batches, many at once: the same to those who wait, and less work."""
        size, row_bytes = self._batch_size, self._waiting.row_bytes
        at_once = size if row_bytes is None else size * max(1, _GATHERED_BYTES // max(1, row_bytes * size))
        for done in range(0, batches, _AT_ONCE):
            slots = self._slots.draw(min(_AT_ONCE, batches - done) * size)
            for start in range(0, len(slots), at_once):
                yield from _cut(self._kind, self._waiting.take(slots[start : start + at_once]), size)


def _cut(kind: Kind, columns: Columns, size: int) -> Iterator[Columns]:
    """Cut columns, whose length `size` divides, into batches."""
    for batch in zip(*(kind.cut(column, size) for column in columns.values()), strict=True):
        yield dict(zip(columns, batch, strict=True))
