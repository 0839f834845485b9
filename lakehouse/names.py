"""Names that were probably meant to be one that is known: a slip of a finger away, or written otherwise."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

DATASET_NAME = re.compile(r"[a-z0-9_][a-z0-9_-]{0,99}")
"""A name of a dataset, virtual or not: it becomes the name of a folder, and an argument of commands."""

SHORTEST = 5
"""Characters from which on one slip rarely makes another word."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean ...?` for the closest known name, or the list of known names."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean `{close[0]}`?" if close else f"; known: {', '.join(known)}"


def slip_of(name: str, known: Iterable[str], *, shortest: int = SHORTEST) -> str | None:
    """Return the known name that differs from `name` in case, blanks or hyphens alone, or by one slip.

    A slip is one character more, fewer, other or swapped with its neighbour, no digit: round1 and round2 are two.
    """
    for other in sorted(known):
        same = _folded(other) == _folded(name)
        if other != name and (same or _one_slip(name.casefold(), other.casefold(), shortest)):
            return other
    return None


def _folded(name: str) -> str:
    return re.sub(r"[\s_\-]+", "", name.casefold())


def _one_slip(one: str, other: str, shortest: int) -> bool:
    if min(len(one), len(other)) < shortest or abs(len(one) - len(other)) > 1:
        return False
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    first, second = one[start:], other[start:]
    while first and second and first[-1] == second[-1]:
        first, second = first[:-1], second[:-1]
    if any(character.isdigit() for character in first + second):
        return False
    return len(first) <= 1 >= len(second) or (len(first) == 2 and first == second[::-1])
