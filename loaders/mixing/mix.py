"""Mix datasets: every batch holds rows of several readers in exact shares, and the mixture resumes like a reader.

    with mix({"web": make_reader(web, batch_size=64, shuffle=Shuffle(seed=1)),
              "books": make_reader(books, batch_size=16, shuffle=Shuffle(seed=1))},
             weights={"web": 0.7, "books": 0.3}, batch_size=64, seed=7, steps=1000) as reader:
        for batch in reader: ...

The order is a pure function. A *unit* is one row of each of M lanes, all of one dataset, its next ones in its own
order; `shares.py` says of which, so that after n units each dataset has given n times its share, to less than
one unit. A batch of all ranks is G / M units, put in the order `permutation(key("mix", seed, batch), G / M)`. A
dataset that is used up begins its next epoch, on its own. Rank r of W serves lanes rM/W ... (r + 1)M/W - 1: for every
W that divides M, all ranks together give the same rows. Without a number, M is W: a unit is one row of each rank.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Literal, cast

import numpy as np

from loaders.agreement import check_agreement
from loaders.axes import Array, Ints
from loaders.decoding.values import Batch
from loaders.errors import FormatError, LoaderError, StateMismatchError
from loaders.format.fields import Field
from loaders.format.manifest import LABEL_INDEX
from loaders.mixing.mixed_part import MixRows, MixSource, Part
from loaders.mixing.shares import Shares, whole_parts
from loaders.options import Shard
from loaders.ordering.order import permutation, stream_key

CONTRACT = "petrel-mix-1"
"""Name of these rules; another order is another name."""

VERSION = 1

_AGREEMENT_S = 120.0

Stop = Literal["first", "all"]


def mix(
    readers: Mapping[str, MixSource],
    *,
    weights: Mapping[str, float | Fraction],
    batch_size: int,
    seed: int,
    shard: Shard | None = None,
    lanes: int | None = None,
    stop: Stop | None = None,
    steps: int | None = None,
) -> MixedReader:
    """Read several datasets as one.

    Args:
        readers: By name, in an order that is part of the mixture. They are used by the mixture alone from here on.
            Their batch sizes are free; epochs=None has the next epoch begin without a pause. On several lanes the last
            rows of an epoch that fill no batch of all ranks are left out, as with tail='drop'.
        weights: A positive number for each name; shares are met exactly, so they must be fractions like 0.7 or 1/3.
        batch_size: Rows of each batch of this rank.
        seed: Seed of the order of rows inside a batch; 0 <= seed < 2**63.
        shard: As the readers were opened; None reads everything.
        lanes: M; a multiple of the number of ranks that divides the lanes of every reader. A run can go on with
            any number of ranks that divides it. None: as many as ranks, or as the state says.
        stop: End a pass with the last whole batch before a dataset begins its second epoch (`first`), or with the
            batch in which every dataset has been read through (`all`). None: see `steps`.
        steps: Batches of a pass; None without `stop` never ends.

    Returns:
        A reader; closing it closes all of them.

    Raises:
        FormatError: If the arguments do not fit each other, or a class number means one class in one dataset and
            another in the next.
    """
    if len(readers) < 1:
        raise FormatError("a mixture needs at least one reader")
    if type(batch_size) is not int or batch_size < 1:
        raise FormatError(f"batch_size must be a positive integer, found {batch_size!r}")
    if type(seed) is not int or not 0 <= seed < 1 << 63:
        raise FormatError(f"a mixture needs a seed, an integer from 0 to 2**63 - 1, found {seed!r}")
    if stop not in ("first", "all", None) or (stop is not None and steps is not None):
        raise FormatError(f"give stop='first', stop='all' or steps, found stop={stop!r} and steps={steps!r}")
    if steps is not None and (type(steps) is not int or steps < 1):
        raise FormatError(f"steps must be a positive integer or None, found {steps!r}")
    shares = whole_parts(weights, list(readers))
    return MixedReader(readers, shares, batch_size, seed, shard or Shard(), lanes, stop, steps)


class MixedReader(Iterator[Batch]):
    """An iterator of batches over several readers. Make one with `mix`.

    A pass ends after `steps_per_epoch` batches; the next one goes on where it ended. Beside what its readers hold it
    holds one batch of each and its own.
    """

    def __init__(
        self,
        readers: Mapping[str, MixSource],
        shares: Shares,
        batch_size: int,
        seed: int,
        shard: Shard,
        lanes: int | None,
        stop: Stop | None,
        steps: int | None,
    ) -> None:
        _check_classes(readers)
        self._readers, self._shares, self._batch_size, self._seed = dict(readers), shares, batch_size, seed
        self._shard, self._wanted_lanes, self._stop, self._steps = shard, lanes, stop, steps
        self._lock = threading.RLock()
        self._epoch = self._step = 0
        self._set_lanes(lanes or shard.world)
        if self._steps_per_epoch == 0:
            raise FormatError(
                f"a dataset is used up before the first batch of {self._global_batch}; use stop='all' or a smaller one"
            )

    def __iter__(self) -> MixedReader:
        return self

    def __next__(self) -> Batch:
        """Return the next batch.

        Raises:
            StopIteration: At the end of a pass.
            FormatError: If the readers give different columns, or fewer rows than they should.
            LoaderError: What a reader raises; calling again goes on with the same batch.
        """
        with self._lock:
            if self._step == self._steps_per_epoch:
                self._epoch, self._step = self._epoch + 1, 0
                raise StopIteration
            self._agree()
            number = self._batch_number()
            first = number * self._units
            if not self._is_placed:
                self._place(first)
            givers = self._shares.givers(first, first + self._units)
            order = permutation(stream_key("mix", self._seed, number), self._units)
            givers = givers[order]
            # First everything that may fail, then what moves us on.
            for at, part in enumerate(self._parts):
                part.fill(int((givers == at).sum()))
            self._check_columns()
            each = self._lanes // self._shard.world
            takes = [
                (part.take(int((givers == at).sum())), _rows_of(np.flatnonzero(givers == at), each))
                for at, part in enumerate(self._parts)
            ]
            batch = _joined(self._parts[0].columns, takes, self._batch_size)
            self._step += 1
            return batch

    def __len__(self) -> int:
        """Return the number of batches in a pass."""
        if self._steps_per_epoch is None:
            raise TypeError("a mixture without stop or steps has no length")
        return self._steps_per_epoch

    def __enter__(self) -> MixedReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all readers."""
        for reader in self._readers.values():
            reader.close()

    def state_dict(self) -> dict[str, object]:
        """Return the position after the last batch that was received: JSON, at most 1 KB and 1 KB for each reader."""
        with self._lock:
            units = self._batch_number() * self._units
            given = self._shares.given(units)
            return {
                "version": VERSION,
                "contract": CONTRACT,
                **self._identity(),
                "epoch": self._epoch,
                "step": self._step,
                "readers": {part.name: part.state_at(count) for part, count in zip(self._parts, given, strict=True)},
            }

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Go on where a mixture of the same data was, on any rank and any number of ranks that fits its lanes.

        Raises:
            StateMismatchError: If the state is of other data, shares, another seed, length or global batch.
        """
        with self._lock:
            readers, epoch, step, lanes = self._checked(state)
            before = {name: reader.state_dict() for name, reader in self._readers.items()}, self._lanes
            try:
                self._restore(readers, lanes)
                if state.get("steps_per_epoch") != self._steps_per_epoch:
                    raise StateMismatchError(_differs("steps_per_epoch", state, self._steps_per_epoch))
            except LoaderError as error:
                self._restore(*before)
                known = isinstance(error, StateMismatchError)
                raise (error if known else StateMismatchError(f"state of a mixture: {error}")) from error
            self._epoch, self._step = epoch, step

    def set_epoch(self, epoch: int) -> None:
        """Go to the beginning of a pass, counted from 0; at its beginning: do nothing."""
        if type(epoch) is not int or epoch < 0 or (epoch and self._steps_per_epoch is None):
            raise FormatError(f"an epoch is counted from 0, and a mixture without end has only that; found {epoch!r}")
        with self._lock:
            if (self._epoch, self._step) != (epoch, 0):
                self._epoch, self._step = epoch, 0
                self._is_placed = False

    def stats(self) -> dict[str, object]:
        """Return where the time went, by reader."""
        return {name: reader.stats() for name, reader in self._readers.items()}

    @property
    def fields(self) -> tuple[Field, ...]:
        """The columns, as the first reader has them; every batch is compared with its."""
        return next(iter(self._readers.values())).fields

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes: of the dataset that has the most, the others begin like it; () if none are read."""
        return max((reader.classes for reader in self._readers.values() if _numbered(reader)), key=len, default=())

    @property
    def shares(self) -> dict[str, Fraction]:
        """What each dataset gives of all rows."""
        period = self._shares.period
        return {name: Fraction(part, period) for name, part in zip(self._readers, self._shares.parts, strict=True)}

    @property
    def epoch(self) -> int:
        """Pass of the next batch, counted from 0."""
        return self._epoch

    @property
    def step(self) -> int:
        """Batches of this pass that were received."""
        return self._step

    @property
    def steps_per_epoch(self) -> int | None:
        """Batches of a pass, the same on all ranks; None if it never ends."""
        return self._steps_per_epoch

    @property
    def _global_batch(self) -> int:
        return self._batch_size * self._shard.world

    @property
    def _units(self) -> int:
        """Units of a batch of all ranks."""
        return self._global_batch // self._lanes

    def _batch_number(self) -> int:
        return self._epoch * (self._steps_per_epoch or 0) + self._step

    def _identity(self) -> dict[str, object]:
        """What must be the same for a run to be continued, and on all ranks."""
        return {
            "shares": dict(zip(self._readers, self._shares.parts, strict=True)),
            "seed": self._seed,
            "lanes": self._lanes,
            "global_batch": self._global_batch,
            "steps_per_epoch": self._steps_per_epoch,
        }

    def _set_lanes(self, lanes: int) -> None:
        if lanes < 1 or lanes % self._shard.world or self._global_batch % lanes:
            raise FormatError(
                f"{lanes} lanes cannot be shared by {self._shard.world} ranks in global batches of "
                f"{self._global_batch}: the number of ranks must divide the lanes, and the lanes the global batch; a "
                "mixture that goes on with more ranks is begun with mix(lanes=...)"
            )
        self._lanes = lanes
        self._parts = [Part(name, reader, self._shard.world, lanes) for name, reader in self._readers.items()]
        self._steps_per_epoch = self._steps if self._stop is None else self._steps_until(self._stop)
        self._is_placed = self._has_agreed = False

    def _restore(self, readers: Mapping[str, Mapping[str, object]], lanes: int) -> None:
        for name, reader in self._readers.items():
            try:
                reader.load_state_dict(readers[name])
            except StateMismatchError as error:
                raise StateMismatchError(f"{name}: {error}") from error
        self._set_lanes(lanes)

    def _steps_until(self, stop: Stop) -> int:
        turns = enumerate(part.units_per_epoch for part in self._parts)
        if stop == "first":
            return min(self._shares.unit_of(at, units) for at, units in turns) // self._units
        return -(-(1 + max(self._shares.unit_of(at, units - 1) for at, units in turns)) // self._units)

    def _place(self, units: int) -> None:
        for part, given in zip(self._parts, self._shares.given(units), strict=True):
            part.seek(given)
        self._is_placed = True

    def _agree(self) -> None:
        if not self._has_agreed and self._shard.exchange is not None:
            mine = {**self._identity(), "epoch": self._epoch, "step": self._step}
            check_agreement(
                mine, rank=self._shard.rank, world=self._shard.world, exchange=self._shard.exchange,
                deadline_s=_AGREEMENT_S,
            )  # fmt: skip
        self._has_agreed = True

    def _check_columns(self) -> None:
        first = self._parts[0]
        for part in self._parts[1:]:
            if part.columns != first.columns:
                names = [n for n in {**first.columns, **part.columns} if first.columns.get(n) != part.columns.get(n)]
                raise FormatError(
                    f"column {names[0]}: {first.name} gives {_described(first, names[0])}, {part.name} gives "
                    f"{_described(part, names[0])}; choose columns, decoders or a transform that make them equal"
                )

    def _checked(self, state: object) -> tuple[Mapping[str, Mapping[str, object]], int, int, int]:
        """Return the readers' states, epoch, step and lanes of a state that fits."""
        if not isinstance(state, Mapping) or (state.get("version"), state.get("contract")) != (VERSION, CONTRACT):
            raise StateMismatchError(
                f"expected a state of a mixture, version {VERSION}, order {CONTRACT!r}; a reader's own state is for "
                "the reader, and another version for the Petrel that saved it"
            )
        for name, ours in self._identity().items():
            is_free = name == "steps_per_epoch" or (name == "lanes" and self._wanted_lanes is None)
            if not is_free and state.get(name) != ours:
                raise StateMismatchError(_differs(name, state, ours))
        readers, numbers = state.get("readers"), [state.get(name) for name in ("epoch", "step", "lanes")]
        is_right = isinstance(readers, Mapping) and set(readers) == set(self._readers)
        if not is_right or any(type(number) is not int or number < 0 for number in numbers):
            raise StateMismatchError("state of a mixture: it is incomplete or was edited")
        epoch, step, lanes = (int(str(number)) for number in numbers)
        return cast("Mapping[str, Mapping[str, object]]", readers), epoch, step, lanes


def _check_classes(readers: Mapping[str, MixSource]) -> None:
    """Refuse class numbers that mean different classes; a label set that has grown in between is none."""
    longest: dict[str, tuple[str, tuple[str, ...]]] = {}
    for name, reader in readers.items():
        for column, classes in _numbered(reader).items():
            other, known = longest.setdefault(column, (name, classes))
            for number, (one, two) in enumerate(zip(known, classes, strict=False)):
                if one != two:
                    raise FormatError(
                        f"column {column}: class {number} is {one!r} in {other} and {two!r} in {name}; build both "
                        "from one label set, or leave the column out and number the labels yourself"
                    )
            if len(classes) > len(known):
                longest[column] = name, classes


def _numbered(reader: MixSource) -> dict[str, tuple[str, ...]]:
    """Return the classes of each column of class numbers that is read; of old folders, those of their lineage."""
    stated = {field.name: field.classes or () for field in reader.fields if field.classes or field.name == LABEL_INDEX}
    return {name: classes or reader.classes for name, classes in stated.items()}


def _differs(name: str, state: Mapping[str, object], ours: object) -> str:
    return f"state of a mixture: {name} was {state.get(name)!r}, here it is {ours!r}; make the same mixture again"


def _described(part: Part, column: str) -> str:
    found = part.columns.get(column)
    return "no such column" if found is None else " ".join(str(each) for each in found)


def _rows_of(positions: Ints, each: int) -> Ints:
    """Return the batch rows of units at some positions, `each` rows a unit."""
    return (positions[:, None] * each + np.arange(each)).ravel()  # (positions, each) to (positions * each,)


def _joined(columns: Mapping[str, tuple[object, ...]], takes: list[tuple[MixRows, Ints]], rows: int) -> Batch:
    """Return one batch; each take has its rows and where they go."""
    joined: Batch = {}
    for name, (kind, *_) in columns.items():
        pieces = [piece for taken, _ in takes for piece in taken.of(name)]
        places = [place for taken, to in takes for place in taken.split(to)]
        if kind == "list":
            values: list[object] = [None] * rows
            for (source, index), place in zip(pieces, places, strict=True):
                for at, to in zip(index.tolist(), place.tolist(), strict=True):
                    values[to] = source[at]
            joined[name] = values
            continue
        like = pieces[0][0]
        whole: Array = np.empty((rows, *like.shape[1:]), dtype=like.dtype)
        if kind == "masked":
            whole = np.ma.MaskedArray(whole, mask=np.zeros(whole.shape, dtype=bool))
        for (source, index), place in zip(pieces, places, strict=True):
            whole[place] = source[index]
        joined[name] = whole
    return joined
