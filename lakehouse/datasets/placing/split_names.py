"""Names of splits: which can be one, and which look like a slip of the pen or like a class."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping

SPLIT = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
"""What a published dataset takes: it becomes the name of a folder there."""
SPLIT_HELP = "use lower-case letters a-z, digits, _ and -, at most 64, the first no _ or -"

MEANT = ("train", "val", "valid", "validation", "test", "dev", "holdout")
WORDS = ("eval", "rest")
"""One slip from `val` and `test`, and words that people call splits by."""
USUAL = {*MEANT, *WORDS, "training", "testing", "trainval", "evaluation", "devel", "fold", "extra", "unlabeled"}


def slip(name: str, others: Collection[str]) -> str | None:
    """Return the usual name that a split was meant to have, where it is one slip of the pen away; else None.

    A digit or capital at the end (`test2`, `trainA`) is no slip, nor is a name beside the one it is near to.
    """
    if name in MEANT or name in WORDS:
        return None
    near = (each for each in MEANT if each not in others and _one_slip(name.lower(), each))
    return None if re.fullmatch(rf"({'|'.join(MEANT)})[0-9A-Z]", name) else next(near, None)


def is_usual(name: str) -> bool:
    """Return whether a split is called as splits are: `train`, `val2017`, `test_a`, `fold-3`."""
    return any(part in USUAL for part in re.split(r"[^a-z]+", name.lower()))


def stated_in(names: Mapping[str, str], splits: Iterable[str]) -> bool:
    """Return whether `split.names` states every one of these splits: then they are meant."""
    return set(splits) <= set(names.values())


def _one_slip(name: str, meant: str) -> bool:
    """Return whether one letter is wrong, missing or too many, or two neighbours are swapped."""
    if name == meant:
        return True  # Another case: the caller knows that it is not the same.
    start = next((i for i, (a, b) in enumerate(zip(name, meant, strict=False)) if a != b), min(len(name), len(meant)))
    rest, other = name[start:], meant[start:]
    return rest[1:] == other[1:] or rest[1:] == other or rest == other[1:] or (
        rest[:2] == other[1::-1] and len(other) > 1 and rest[2:] == other[2:]
    )
