"""Names that differ in the side that they are of: what a mirror exchanges."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

WORDS = (("left", "right"), ("Left", "Right"), ("LEFT", "RIGHT"))

LETTERS = tuple(
    (re.compile(pattern.format(left)), right)
    for pattern in (
        "(?<![A-Za-z]){}(?![A-Za-z])",  # l_eye, eye.L, L
        "(?<![A-Za-z]){}(?=[A-Z][a-z])",  # LShoulder, lEye
        "(?<=[a-z]){}(?![A-Za-z])",  # EyeL; of small letters none, for `tail`
    )
    for left, right in (("l", "r"), ("L", "R")) if not (left == "l" and "[a-z]){}" in pattern)
)  # fmt: skip
"""What of a name is a letter for the left side, and the letter for the right."""

TOLD = "left or right (Left, LEFT), or in a letter of its own, l or r, L or R (l_eye, eye.L, LEye, EyeL)"


def side_pairs(names: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """Return the places of names that differ in the side alone, each in one pair at most: the left one first."""
    places = {name: place for place, name in enumerate(names)}
    pairs: list[tuple[int, int]] = []
    taken: set[int] = set()
    for name, place in places.items():
        other = next((places[each] for each in _other_side(name) if each in places), None)
        if other is not None and not taken & {place, other}:
            pairs.append((place, other))
            taken |= {place, other}
    return tuple(pairs)


def word_pairs(names: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """Return the pairs that were known when letters, and words of capitals, were none."""
    places = {name: place for place, name in enumerate(names)}
    pairs = []
    for name, place in places.items():
        for left, right in WORDS[:2]:
            if left in name and name.replace(left, right) in places:
                pairs.append((place, places[name.replace(left, right)]))
                break
    return tuple(pairs)


def _other_side(name: str) -> Iterator[str]:
    for left, right in WORDS:
        if left in name:
            yield name.replace(left, right)
    for letter, right in LETTERS:
        if letter.search(name):
            yield letter.sub(right, name)
