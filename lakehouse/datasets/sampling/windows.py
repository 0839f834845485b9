"""Windows of rows: stretches of equal length of what belongs together and has an order. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from lakehouse.datasets.recipes.sections.samples import Samples
from lakehouse.errors import RecipeError

MOST_PLACES = 10_000_000
"""Places in all windows of one series, one after the other: more fill memory before anybody sees them."""


class Row(NamedTuple):
    """One entity of a series.

    Attributes:
        entity_id: Its id.
        place: What orders it: a number, or microseconds.
        is_out: Whether it is left out for a reason of its own: no window reaches across it.
    """

    entity_id: str
    place: float
    is_out: bool = False


class Windows(NamedTuple):
    """What becomes of a series.

    Attributes:
        whole: Windows, each the ids of its entities, in order.
        rest: Beginnings of windows that the end of a run cuts off, each with ids.
        between: Entities that stand in neither: between two windows.
    """

    whole: tuple[tuple[str, ...], ...]
    rest: tuple[tuple[str, ...], ...]
    between: tuple[str, ...]


def windows_of(rows: Sequence[Row], samples: Samples) -> Windows:
    """Return the windows of one series.

    A window begins at every `stride`-th entity of a run and has every `step`-th one from there. A run ends where what
    follows is left out, or lies further on than `max_gap`. What is cut off is padded with the last entity that it has,
    or is `rest`; where a window before it has all of its entities, it is neither.

    Args:
        rows: Of one series, in any order; equal places are ordered by id.
        samples: The recipe's: length, stride, step, max_gap and incomplete.

    Raises:
        RecipeError: If the windows have more than `MOST_PLACES` places together.
    """
    whole: list[tuple[str, ...]] = []
    rest: list[tuple[str, ...]] = []
    between: list[str] = []
    stride = samples.stride or samples.length * samples.step
    count = -(-len(rows) // stride)
    if count * samples.length > MOST_PLACES:
        raise RecipeError(
            f"[samples]: {len(rows):,} entities of one series give {count:,} windows of {samples.length:,}, "
            f"{count * samples.length:,} places, at most {MOST_PLACES:,}; take a larger samples.stride (now {stride:,})"
        )
    for run in _runs(sorted(rows, key=lambda row: (row.place, row.entity_id)), samples.max_gap):
        taken: set[str] = set()
        for start in range(0, len(run), stride):
            ids = tuple(run[start : start + samples.length * samples.step : samples.step])
            if len(ids) == samples.length:
                whole.append(ids)
            elif taken.issuperset(ids):
                continue
            elif samples.incomplete == "pad":
                whole.append(ids + ids[-1:] * (samples.length - len(ids)))
            else:
                rest.append(ids)
            taken.update(ids)
        between += [each for each in run if each not in taken]
    return Windows(tuple(whole), tuple(rest), tuple(between))


def _runs(rows: Sequence[Row], max_gap: float | None) -> Iterator[list[str]]:
    run: list[str] = []
    last = 0.0
    for row in rows:
        is_far = max_gap is not None and run and row.place - last > max_gap
        if (row.is_out or is_far) and run:
            yield run
            run = []
        if not row.is_out:
            run.append(row.entity_id)
        last = row.place
    if run:
        yield run
