"""A folder of annotation files is one import: what lies in it and is not read, because another format reads it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from lakehouse.opinions.formats import formats


def files_left_out(path: Path, parts: Sequence[str]) -> list[str]:
    """Return files beside those that are read whose names end as annotations do, relative to the folder, sorted.

    Args:
        path: The folder; of a file nothing is left out.
        parts: Files of it that are read; [""] where it is read as one.
    """
    if not path.is_dir() or list(parts) == [""]:
        return []
    endings = tuple(ending for each in formats().values() for ending in each.endings)
    read = set(parts)
    folders = sorted({PurePosixPath(part).parent.as_posix() for part in parts} | {"."})
    found = []
    for folder in folders:
        for name in os.listdir(path / folder):
            relative = name if folder == "." else f"{folder}/{name}"
            is_hidden = name.startswith(".")
            if not is_hidden and relative not in read and name.lower().endswith(endings):
                found.append(relative)
    return sorted(each for each in found if (path / each).is_file())
