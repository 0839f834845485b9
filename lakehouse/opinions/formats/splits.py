"""Which folders of a tree are splits and which are classes, by their names; what was taken for what is said."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

from lakehouse.errors import IngestError

_SPLIT = re.compile(
    r"(train|training|trn|val|valid|validation|test|testing|tst|dev|eval|evaluation|holdout|hold-out)"
    r"([-_ ]?(set|data|images|imgs|split|[0-9]{1,4}))?"
)
"""Names of splits as public data sets have them: train, val2017, test_set, training-images ..."""


class Guess(NamedTuple):
    """Depth of the class folders, counted from 0, and what a person should know about it ("" for nothing)."""

    depth: int
    note: str


def split_like(name: str) -> bool:
    """Return whether a folder is called as splits are."""
    return _SPLIT.fullmatch(name.casefold()) is not None


def class_depth(path: Path) -> Guess:
    """Return which level of folders holds the classes: the second, if all of the first are splits.

    Raises:
        IngestError: If the folder cannot be listed, or all it holds are splits without folders in them: then
            nobody can say whether they are classes.
    """
    tops = _folders(path)
    if not tops or not all(map(split_like, tops)):
        return Guess(0, "")
    named = ", ".join(tops)
    if not any(_folders(path / top) for top in tops):
        raise IngestError(
            f"{path}: folders {named} are called as splits are and hold no folders that could be classes; "
            "set depth = 0 if they are the classes, or give the folder that holds the classes"
        )
    return Guess(
        1,
        f"folders {named} are taken for splits and the folders in them for classes (depth = 1); a recipe takes the "
        'split from them with [split] official = "folder:0"; set depth = 0 if they are classes',
    )


def _folders(path: Path) -> list[str]:
    try:
        with os.scandir(path) as found:
            return sorted(
                entry.name for entry in found if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)
            )
    except OSError as error:
        raise IngestError(f"{path}: cannot be listed ({error.strerror})") from error
