"""Which samples a reader reads: settled when it opens, so that the order stays a pure function of small numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import numpy as np
import pyarrow as pa

from loaders.axes import Ints, Mask, Octets
from loaders.errors import FormatError
from loaders.format.fields import Field
from loaders.ordering import sequences
from loaders.ordering.bounds import Bounds
from loaders.ordering.filters import Filter, parse_filter
from loaders.ordering.sequences import Spread
from schemas.canonical import canonical_json, sha256_text


class SampleRows(Protocol):
    """The samples of one row group."""

    def rows(self) -> Ints:
        """Return the rows of each sample within the row group; shape (samples, length)."""
        ...


@dataclass(frozen=True, slots=True)
class Selection:
    """The samples of a split that are read.

    Attributes:
        samples_by_group: Samples in each row group, in the order of the manifest; 0 where nothing is chosen.
        length: Rows in one sample: 1, or the length of a sequence.
        fingerprint: What the order and saved states rest on: the split's own if everything is read.
        groups_skipped: Row groups that the statistics in the footers excluded; no filter column was read of them.
        sequences_cut: Sequences that would be samples, but whose rows do not lie in one row group.
        chosen: The rows of the row groups in which some, but not all rows are chosen.
    """

    samples_by_group: tuple[int, ...]
    length: int
    fingerprint: str
    groups_skipped: int = 0
    sequences_cut: int = 0
    chosen: dict[int, SampleRows] = field(default_factory=dict, repr=False, compare=False)

    @property
    def samples(self) -> int:
        """Samples of an epoch."""
        return sum(self.samples_by_group)

    def rows(self, group: int) -> Ints:
        """Return the rows of each sample within its row group; shape (samples, length), first rows ascending."""
        if group in self.chosen:
            return self.chosen[group].rows()
        return np.arange(self.samples_by_group[group], dtype=np.int64).reshape(-1, self.length)


@dataclass(frozen=True, slots=True)
class _Picked:
    """The rows that a filter leaves, one bit for each row of the group: 12 MB for a hundred million."""

    bits: Octets
    count: int

    @classmethod
    def of(cls, mask: Mask) -> _Picked:
        return cls(np.packbits(mask), len(mask))

    def mask(self) -> Mask:
        return np.unpackbits(self.bits, count=self.count).view(np.bool_)

    def rows(self) -> Ints:
        return np.flatnonzero(self.mask()).reshape(-1, 1)


def select(
    fields: Sequence[Field],
    fingerprint: str,
    rows_by_group: Sequence[int],
    *,
    filter: object = None,
    sequence: sequences.Sequence | None = None,
    statistics: Callable[[int, Field], Bounds],
    read_columns: Callable[[int, Sequence[str]], pa.Table],
    spread: Spread = map,
) -> Selection:
    """Settle which samples are read. Pure: the same on every rank.

    Of row groups that the statistics exclude nothing is read for the filter, of the others its columns alone. A
    sequence needs its two columns of every row group.

    Args:
        fields: All columns of the split, also those that are not delivered.
        fingerprint: Fingerprint of the split.
        rows_by_group: Rows of each row group, in the order of the manifest.
        filter: As `loaders.ordering.filters.parse_filter` takes it; None chooses every row.
        sequence: Which rows make a sample together; None: each row is one.
        statistics: Returns what the footer says of a column (`bounds_of`), by row group and field.
        read_columns: Returns columns of a row group by name; text may be a dictionary. Called by `spread`.
        spread: Calls a function for many row groups; the `map` of an executor reads several at once.

    Raises:
        FormatError: If filter or sequence do not fit the columns, or nothing is chosen.
        CorruptionError: If a column cannot be read.
    """
    parsed = None if filter is None else parse_filter(filter, fields)
    if sequence is not None:
        sequences.check_columns(sequence, fields)
    if parsed is None and sequence is None:
        return Selection(tuple(rows_by_group), 1, fingerprint)
    spec = [fingerprint, parsed and parsed.canonical(), sequence and sequence.canonical()]
    name = sha256_text(canonical_json(spec))
    chosen, skipped = _filtered(parsed, rows_by_group, statistics, read_columns, spread)
    if sequence is not None:
        masks = {group: chosen[group].mask() for group in chosen}
        columns = sequences.read(sequence, fields, len(rows_by_group), read_columns, spread)
        found = sequences.windows(sequence, columns, masks)
        counts = tuple(len(each.starts) for each in found.by_group)
        selection = Selection(counts, sequence.length, name, skipped, found.cut, dict(enumerate(found.by_group)))
    else:
        counts = tuple(
            int(chosen[group].mask().sum()) if group in chosen else rows for group, rows in enumerate(rows_by_group)
        )
        kept: dict[int, SampleRows] = {at: chosen[at] for at in chosen if 0 < counts[at] < rows_by_group[at]}
        selection = Selection(counts, 1, name, skipped, chosen=kept)
    rows = sum(rows_by_group)
    if rows and not selection.samples:
        raise FormatError(_nothing(selection, rows, filter, sequence))
    return selection


def _filtered(
    parsed: Filter | None,
    rows_by_group: Sequence[int],
    statistics: Callable[[int, Field], Bounds],
    read_columns: Callable[[int, Sequence[str]], pa.Table],
    spread: Spread,
) -> tuple[dict[int, _Picked], int]:
    """Return {row group: its chosen rows} and how many row groups the statistics excluded; {} without a filter."""
    if parsed is None:
        return {}, 0
    groups = range(len(rows_by_group))
    possible = [group for group in groups if parsed.may_match(partial(statistics, group))]
    picked = {group: _Picked.of(np.zeros(rows_by_group[group], dtype=np.bool_)) for group in groups}

    def pick(group: int) -> _Picked:
        return _Picked.of(parsed.matches(read_columns(group, parsed.columns)))

    picked.update(zip(possible, spread(pick, possible), strict=True))
    return picked, len(rows_by_group) - len(possible)


def _nothing(selection: Selection, rows: int, filter: object, sequence: sequences.Sequence | None) -> str:
    if sequence is None:
        return f"the filter {filter!r} matches none of {rows} rows; check its values"
    if selection.sequences_cut:
        return (
            f"no {sequence} lies in one row group: {selection.sequences_cut} are cut by their borders; publish the "
            "dataset with Layout(sequence_column=..., order_column=...) and row groups that hold whole sequences"
        )
    where = f" that match the filter {filter!r}" if filter is not None else ""
    return f"{rows} rows hold no {sequence}{where}; check length, step and max_gap"
