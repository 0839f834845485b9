"""Krippendorff's alpha for unitizing: how far annotators mark the same stretches of one continuum, beyond chance.

K. Krippendorff: On the reliability of unitizing continuous data, Sociological Methodology 25 (1995); the form and the
example of the tests are those of Content analysis, second edition (2004), section 11.6. A continuum has whole places:
characters, or milliseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

Stretch = tuple[int, int]
"""First place, and the one behind the last."""

Section = tuple[int, int, bool]
"""First place, length, and whether it is marked."""


def disagreement(marked: Sequence[Sequence[Stretch]], length: int) -> tuple[float, float]:
    """Return the observed and the expected disagreement about one label on one continuum.

    Alpha is 1 - observed / expected; of several labels or continua both are added up first.

    Args:
        marked: Stretches of each annotator, within 0 to `length`; two or more annotators. Stretches of one annotator
            that overlap are one; those without length mark nothing.
        length: Places of the continuum.
    """
    sections = [_sections(each, length) for each in marked]
    number = len(sections)
    apart = sum(_apart(one, other) for one, other in combinations(sections, 2))
    observed = 2.0 * apart / (number * (number - 1) * float(length) ** 2)
    units = [float(size) for each in sections for _, size, is_unit in each if is_unit]
    gaps = [float(size) for each in sections for _, size, is_unit in each if not is_unit]
    total = sum(
        (len(units) - 1) / 3 * (2 * unit**3 - 3 * unit**2 + unit)
        + unit**2 * sum(gap - unit + 1 for gap in gaps if gap >= unit)
        for unit in units
    )
    places = float(number * length)
    return observed, 2 / length * total / (places * (places - 1) - sum(unit * (unit - 1) for unit in units))


def _sections(marked: Sequence[Stretch], length: int) -> list[Section]:
    """Return units and the gaps between them, from the first place of the continuum to its last."""
    found: list[Section] = []
    place = 0
    for start, end in _joined(marked):
        if start > place:
            found.append((place, start - place, False))
        found.append((start, end - start, True))
        place = end
    return found if place >= length else [*found, (place, length - place, False)]


def _joined(marked: Sequence[Stretch]) -> list[Stretch]:
    joined: list[Stretch] = []
    for start, end in sorted(each for each in marked if each[1] > each[0]):
        if joined and start < joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    return joined


def _apart(one: Sequence[Section], other: Sequence[Section]) -> float:
    """Return the sum of the differences of sections that meet."""
    total, a, b = 0.0, 0, 0
    while a < len(one) and b < len(other):
        total += difference(one[a], other[b])
        ends = one[a][0] + one[a][1], other[b][0] + other[b][1]
        a, b = a + (ends[0] <= ends[1]), b + (ends[1] <= ends[0])
    return total


def difference(one: Section, other: Section) -> float:
    """Return the squared difference of two sections that meet: of two units of their starts and their ends, of a unit
    within a gap its length; else 0."""
    (start, size, is_unit), (start_2, size_2, is_unit_2) = one, other
    off = start - start_2
    if is_unit and is_unit_2:
        return float(off**2 + (off + size - size_2) ** 2) if -size < off < size_2 else 0.0
    if is_unit:
        return float(size**2) if 0 <= off <= size_2 - size else 0.0
    return float(size_2**2) if is_unit_2 and 0 <= -off <= size - size_2 else 0.0
