"""Names of annotation files after the pictures that they are about."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import PurePosixPath

MOST_BYTES = 255
"""Of one name, on the file systems there are."""


def folded(name: str) -> str:
    """Return a form that is the same for names which some file system takes for one: case, and two spellings of é."""
    return unicodedata.normalize("NFC", name).casefold()


def short(name: str) -> str:
    """Return a name of at most 255 bytes: where it is longer, its end, which tells more than its beginning.

    Sixteen bytes less, so that a number fits in.
    """
    if len(name.encode()) <= MOST_BYTES:
        return name
    return name.encode()[-(MOST_BYTES - 16) :].decode(errors="ignore").lstrip(". ")


def one_name_each(names: Iterable[str], ending: str) -> dict[str, str]:
    """Return name of a picture -> name of its file: with another ending, in the same folder.

    Pictures that differ in their ending alone (`a.jpg`, `a.png`) keep it: `a.jpg.xml`; so do those that some disks
    would take for one (`A.jpg`, `a.jpg`), of which the later ones get a number. A name too long for a disk is cut.

    Args:
        names: Of the pictures, relative, with `/`.
        ending: Of their files, with its dot.
    """
    distinct = sorted(set(names))
    plain = {name: str(PurePosixPath(name).with_suffix("")) for name in distinct}
    alike = Counter(folded(stem) for stem in plain.values())
    found: dict[str, str] = {}
    taken: set[str] = set()
    for name in distinct:
        stem = name if alike[folded(plain[name])] > 1 else plain[name]
        number = 1
        folder, slash, last = stem.rpartition("/")
        if len(f"{last}{ending}".encode()) > MOST_BYTES:
            stem = f"{folder}{slash}{short(last + ending).removesuffix(ending)}"
        made = f"{stem}{ending}"
        while folded(made) in taken:
            number += 1
            made = f"{stem}-{number}{ending}"
        taken.add(folded(made))
        found[name] = made
    return found
