"""What an epoch is made of: every chosen sample once, or as many as are drawn by weight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from loaders.axes import Ints
from loaders.ordering.order import CONTRACT, STRATA_CONTRACT
from loaders.ordering.selection import Selection
from loaders.ordering.strata import Strata, strata_read
from loaders.ordering.weights import BYTES_EACH, DRAWS_CONTRACT, Drawn, Draws


@dataclass(frozen=True)
class EpochSamples:
    """The samples of one epoch, numbered in each of its row groups from 0.

    Attributes:
        groups: int64 (groups,): row groups that have any, in the order of the manifest.
        counts: How many samples each of them has.
        strata: Stratum of each of them; () for a single one.
        chosen: From samples of the split to rows.
        starts: int64 (row groups of the split + 1 or more,): rows, or draws, before each; what seeds are numbered by.
        drawn: The draws, where samples are drawn.
    """

    groups: Ints
    counts: tuple[int, ...]
    strata: tuple[int, ...]
    chosen: ChosenRows
    starts: Ints
    drawn: Drawn | None = None

    def rows(self, groups: Ints, samples: Ints) -> Ints:
        """Return the rows of samples within their row groups: (samples, length); `groups` are those of the split."""
        if self.drawn is not None:
            samples = self.drawn.samples[self.starts[groups] + samples]
        return self.chosen.rows(groups, samples)

    def seed_numbers(self, groups: Ints, samples: Ints, rows: Ints) -> Ints:
        """Return the numbers by which samples get their seeds: rows of the split, or draws of the epoch; (samples,).

        So a sample that is drawn twice is not augmented twice in the same way.
        """
        return self.starts[groups] + (rows[:, 0] if self.drawn is None else samples)


class Epochs(Protocol):
    """What all epochs of a reader have in common."""

    @property
    def samples(self) -> int:
        """Samples of an epoch."""

    @property
    def fingerprint(self) -> str:
        """What the order and saved states rest on."""

    @property
    def contract(self) -> str:
        """Name of the rules of the order, with a shuffle."""

    @property
    def fewest(self) -> tuple[int, ...]:
        """Samples that each row group has at least in an epoch, of those that may have any."""

    @property
    def bytes(self) -> int:
        """What two epochs take in memory."""

    def open_groups(self, *, lanes: int, window: int, deep: int) -> int:
        """Return how many row groups at most lie in some windows of some lanes, `deep` of each."""

    def epoch(self, seed: int | None, epoch: int) -> EpochSamples:
        """Return the samples of an epoch."""


class Once:
    """Every chosen sample once in an epoch."""

    bytes = 0

    def __init__(self, selection: Selection, stratum_by_group: Sequence[int], starts: Ints) -> None:
        """Begin.

        Args:
            selection: The samples.
            stratum_by_group: Stratum of each row group of the split.
            starts: int64 (row groups + 1,): rows of the split before each.
        """
        self.samples, self.fingerprint = selection.samples, selection.fingerprint
        counts = selection.samples_by_group
        self.fewest = tuple(count for count in counts if count)
        strata = strata_read(counts, stratum_by_group)
        groups = np.flatnonzero(np.asarray(counts)).astype(np.int64)
        self._samples = EpochSamples(groups, self.fewest, strata, ChosenRows(selection), starts)
        self.contract = STRATA_CONTRACT if strata else CONTRACT

    def open_groups(self, *, lanes: int, window: int, deep: int) -> int:
        return Strata(self.fewest, self._samples.strata).open_groups(lanes=lanes, window=window, deep=deep)

    def epoch(self, seed: int | None, epoch: int) -> EpochSamples:
        return self._samples


class ByWeight:
    """Samples that are drawn in each epoch, with replacement."""

    contract = DRAWS_CONTRACT

    def __init__(self, selection: Selection, draws: Draws, stratum_by_group: Sequence[int]) -> None:
        self.samples, self.fingerprint = draws.count, draws.fingerprint
        self.bytes = BYTES_EACH * (selection.samples + draws.count)
        self.fewest = tuple(count for count in draws.fewest if count)
        self._draws, self._stratum_by_group, self._chosen = draws, stratum_by_group, ChosenRows(selection)
        self._strata = strata_read(draws.fewest, stratum_by_group)

    def open_groups(self, *, lanes: int, window: int, deep: int) -> int:
        return self._draws.open_groups(self._strata, lanes=lanes, window=window, deep=deep)

    def epoch(self, seed: int | None, epoch: int) -> EpochSamples:
        assert seed is not None
        drawn = self._draws.epoch(seed, epoch)
        groups = np.flatnonzero(drawn.counts).astype(np.int64)
        counts = tuple(drawn.counts[groups].tolist())
        strata = strata_read(drawn.counts.tolist(), self._stratum_by_group)
        return EpochSamples(groups, counts, strata, self._chosen, drawn.starts, drawn)


class ChosenRows:
    """From samples to rows: of row groups of which everything is read they are the same."""

    def __init__(self, selection: Selection) -> None:
        self._is_all = selection.length == 1 and not selection.chosen
        if not self._is_all:
            counts = np.asarray(selection.samples_by_group, dtype=np.int64)
            self._starts = np.cumsum(counts) - counts
            parts = [selection.rows(group) for group in range(len(counts)) if counts[group]]
            self._rows = np.concatenate(parts).astype(np.int64)

    def rows(self, groups: Ints, samples: Ints) -> Ints:
        """Return the rows within their row groups: (samples, length); `groups` and `samples` are (samples,)."""
        if self._is_all:
            return samples[:, None]
        rows: Ints = self._rows[self._starts[groups] + samples]
        return rows
