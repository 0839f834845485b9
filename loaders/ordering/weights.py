"""Samples drawn by weight, with replacement ("petrel-draws-1"): which ones an epoch has. ORDER.md, "Draws", is the
contract.

Each row group has its share of the draws in every epoch, rounded up or down, so that reading stays in its order and
memory keeps its bound; within a row group each draw is for itself.

Legend: D draws of an epoch, S_g sum of the weights of row group g.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from loaders.axes import Floats, Ints, Seeds
from loaders.errors import FormatError
from loaders.format.fields import Field
from loaders.ordering.order import random_words, stream_key
from loaders.ordering.selection import Selection
from loaders.ordering.sequences import Spread
from schemas.canonical import canonical_json, sha256_text

DRAWS_CONTRACT = "petrel-draws-1"
"""Name of these rules; another order is another name."""

BYTES_EACH = 48
"""What a sample and a draw take at most: running sums, the places of two epochs, and the words of the next one."""


@dataclass(frozen=True, slots=True)
class Weights:
    """Draw samples with replacement, each as often as its weight says, instead of each once in an epoch.

    Attributes:
        column: Column of numbers, from 0 on, none of them null. A sample of weight 0 is never drawn. Of a sequence, the
            weight of its first row counts. `[balance]` of a recipe makes the column `weight`.
        draws: Samples of an epoch; None: as many as there are (those that filter and sequence leave).
    """

    column: str = "weight"
    draws: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.column, str) or not self.column:
            raise FormatError(f"weights are named by their column, found {self.column!r}")
        if self.draws is not None and (type(self.draws) is not int or self.draws < 1):
            raise FormatError(f"draws of an epoch are at least 1, or None, found {self.draws!r}")


@dataclass(frozen=True)
class Drawn:
    """The draws of one epoch.

    Attributes:
        counts: int64 (groups,): draws of each row group; 0 where nothing is drawn.
        samples: int64 (D,): number in its row group of each draw's sample, row groups in the order of the manifest.
        starts: int64 (groups,): draws of the row groups before each.
    """

    counts: Ints
    samples: Ints
    starts: Ints


@dataclass(frozen=True)
class Draws:
    """What all epochs have in common.

    Attributes:
        sums: Running sums of the weights in each row group that has samples, in the order of the manifest.
        groups: Number of each of these row groups.
        group_count: Row groups of the split.
        count: D.
        fingerprint: What order, draws and saved states rest on.
    """

    sums: tuple[Floats, ...] = field(repr=False)
    groups: tuple[int, ...] = field(repr=False)
    group_count: int
    count: int
    fingerprint: str

    @cached_property
    def _borders(self) -> Floats:
        """Share of all weight that lies before the end of each row group; the last is 1."""
        found = _running([sums[-1] for sums in self.sums])
        return np.asarray(found / found[-1], dtype=np.float64)

    def epoch(self, seed: int, epoch: int) -> Drawn:
        """Return the draws of an epoch. Pure."""
        shift = _fractions(random_words(stream_key(self.fingerprint, seed, epoch, "share"), [0]))[0]
        ends = np.ceil(self._borders * self.count - shift).astype(np.int64)
        words = random_words(stream_key(self.fingerprint, seed, epoch, "draws"), np.arange(self.count))
        chances, begin = _fractions(words), 0
        counts, samples = np.zeros(self.group_count, dtype=np.int64), np.empty(self.count, dtype=np.int64)
        for group, sums, end in zip(self.groups, self.sums, ends.tolist(), strict=True):
            if end == begin:
                continue
            places = np.searchsorted(sums, chances[begin:end] * sums[-1], side="right")
            # Whatever the rounding: at most the last sample that has a weight, which is where the last sum begins.
            samples[begin:end] = np.minimum(places, np.searchsorted(sums, sums[-1], side="left"))
            counts[group], begin = end - begin, end
        return Drawn(counts, samples, np.cumsum(counts) - counts)

    @cached_property
    def fewest(self) -> tuple[int, ...]:
        """Draws that each row group has at least, in an epoch in which it has any; 0 where it never has."""
        return self._bounded(lambda share: max(1, int(share) - 1))

    @cached_property
    def most(self) -> tuple[int, ...]:
        """Draws that each row group has at most in an epoch."""
        return self._bounded(lambda share: int(share) + 2)

    def _bounded(self, bound: Callable[[float], int]) -> tuple[int, ...]:
        """Bound by share, one further than a share is rounded: it is a difference of numbers that were rounded."""
        found = [0] * self.group_count
        shares = np.diff(self._borders, prepend=0.0) * self.count
        for group, sums, share in zip(self.groups, self.sums, shares.tolist(), strict=True):
            if sums[-1] > 0:
                found[group] = bound(share)
        return tuple(found)

    def open_groups(self, strata: tuple[int, ...], *, lanes: int, window: int, deep: int) -> int:
        """Return how many row groups at most lie in some windows of some lanes in any epoch.

        As `Strata.open_groups`, where every stratum may be the one that sets the pace, and each other one have as many
        draws.

        Args:
            strata: Stratum of each row group that may be drawn, () for a single one.
            lanes, window, deep: As for `Strata`.
        """
        found = lanes * deep * window
        if not strata:
            return found
        each = list(zip(strata, *((n for n in bound if n) for bound in (self.fewest, self.most)), strict=True))
        numbers = range(max(strata) + 1)
        beside = max(sum(sorted(high for at, _, high in each if at == one)[-window:]) for one in numbers) + len(numbers)
        for one in numbers:
            low = sorted(low for at, low, _ in each if at == one)
            found += min(len(low), lanes * deep * (bisect_right(list(accumulate(low)), beside) + 2))
        return found


def read_draws(
    weights: Weights,
    fields: Sequence[Field],
    selection: Selection,
    *,
    read_columns: Callable[[int, Sequence[str]], pa.Table],
    spread: Spread = map,
) -> Draws:
    """Read the weights of the samples that a reader chose. The same on every rank.

    Args:
        weights: Whose column, and how many draws.
        fields: All columns of the split, also those that are not delivered.
        selection: The samples.
        read_columns: Returns columns of a row group by name. Called by `spread`.
        spread: Calls a function for many row groups; the `map` of an executor reads several at once.

    Raises:
        FormatError: If there is no such column of numbers, a weight is null, NaN, infinite or negative, or none is
            above 0.
        CorruptionError: If the column cannot be read.
    """
    known = {each.name: each for each in fields}
    found = known.get(weights.column)
    if found is None:
        raise FormatError(f"weights: there is no column {weights.column!r}; columns are {sorted(known)}")
    if found.codec != "raw" or not (pa.types.is_integer(found.type) or pa.types.is_floating(found.type)):
        raise FormatError(f"weights: column {weights.column!r} is {found.codec} of {found.type}, expected numbers")

    def read(group: int) -> Floats:
        return _sums(read_columns(group, [weights.column]).column(0), selection.rows(group)[:, 0], group, weights)

    groups = tuple(group for group, count in enumerate(selection.samples_by_group) if count)
    sums = tuple(spread(read, groups))
    total = float(_running([each[-1] for each in sums])[-1]) if sums else 0.0
    if sums and not 0 < total < np.inf:
        what = "all weights are 0" if not total else "the weights add up to more than a float holds"
        raise FormatError(f"weights: {what} in column {weights.column!r} of {selection.samples} samples")
    count = selection.samples if weights.draws is None else weights.draws
    name = sha256_text(canonical_json(["weights", selection.fingerprint, weights.column, count]))
    return Draws(sums, groups, len(selection.samples_by_group), count, name)


def _sums(column: pa.ChunkedArray, rows: Ints, group: int, weights: Weights) -> Floats:
    """Return the running sums of the weights of the samples of a row group, added from the first to the last."""
    values = np.asarray(pc.fill_null(pc.cast(column, pa.float64(), safe=False), float("nan")))[rows]
    wrong = np.flatnonzero(~(np.isfinite(values) & (values >= 0)))
    if wrong.size:
        at = int(wrong[0])
        found = "null" if column[int(rows[at])].as_py() is None else f"{values[at]}"
        raise FormatError(
            f"weights: row {rows[at]} of row group {group} has {found} in column {weights.column!r}; a weight is a "
            "number from 0 on: filter the row out, or give it 0 so that it is never drawn"
        )
    return _running(values)


def _running(values: npt.ArrayLike) -> Floats:
    """Return the sums of the first, the first two ... values; infinite where a float holds no more."""
    with np.errstate(over="ignore"):
        return np.asarray(np.cumsum(values), dtype=np.float64)



def _fractions(words: Seeds) -> Floats:
    """Return words as numbers from 0 up to, and without, 1: their upper 53 bits."""
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53
