"""What passes between the order, the workers and the readers of row groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from loaders.axes import Ints
from loaders.petastorm.kinds import Column
from loaders.petastorm.rowgroups.order import Unit


@dataclass(slots=True)
class Rows:
    """Some consecutive rows, as columns.

    Attributes:
        columns: {name: array of shape (rows, ...), or a list of as many values in which None is a null}.
        count: Rows.
        windows: int64 (windows, length), the rows of each window of rows that is delivered as one item; None: each
            row is an item.
    """

    columns: dict[str, Column]
    count: int
    windows: Ints | None = None

    @property
    def items(self) -> int:
        """Rows or windows."""
        return self.count if self.windows is None else len(self.windows)

    def __getitem__(self, rows: slice) -> Rows:
        """Return some of them; not for windows."""
        columns = {name: column[rows] for name, column in self.columns.items()}
        return Rows(columns, len(range(*rows.indices(self.count))))


@dataclass(frozen=True, slots=True)
class Task:
    """One unit in one epoch.

    Attributes:
        epoch: Counted from 0.
        place: Its place in the epoch.
        unit: What to read.
        seed: What the order of its rows comes from.
    """

    epoch: int
    place: int
    unit: Unit
    seed: int = 0


class Loaded(Protocol):
    """A unit that was read: `make` gives its rows, piece by piece."""

    @property
    def pieces(self) -> int:
        """How many pieces there are, possibly 0."""

    @property
    def bytes(self) -> int:
        """Memory that it holds until its last piece is made."""

    def make(self, piece: int) -> Rows:
        """Decode a piece, counted from 0. Called from several threads."""


class Maker(Protocol):
    """Reads and decodes. Called from several threads."""

    def load(self, task: Task) -> Loaded:
        """Read what a unit needs."""


@dataclass(frozen=True, slots=True)
class Made:
    """A unit whose rows are ready."""

    rows: tuple[Rows, ...]
    bytes: int

    @property
    def pieces(self) -> int:
        """How many there are."""
        return len(self.rows)

    def make(self, piece: int) -> Rows:
        """Return one."""
        return self.rows[piece]
