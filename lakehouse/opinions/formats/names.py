"""Names of annotation files after the pictures that they are about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import PurePosixPath


def one_name_each(names: Iterable[str], ending: str) -> dict[str, str]:
    """Return name of a picture -> name of its file: with another ending, in the same folder.

    Pictures that differ in their ending alone (`a.jpg`, `a.png`) keep it: `a.jpg.xml`; so do those that some disks
    would take for one (`A.jpg`, `a.jpg`), of which the later ones get a number.

    Args:
        names: Of the pictures, relative, with `/`.
        ending: Of their files, with its dot.
    """
    distinct = sorted(set(names))
    plain = {name: str(PurePosixPath(name).with_suffix("")) for name in distinct}
    alike = Counter(stem.casefold() for stem in plain.values())
    found: dict[str, str] = {}
    taken: set[str] = set()
    for name in distinct:
        stem = name if alike[plain[name].casefold()] > 1 else plain[name]
        number = 1
        made = f"{stem}{ending}"
        while made.casefold() in taken:
            number += 1
            made = f"{stem}-{number}{ending}"
        taken.add(made.casefold())
        found[name] = made
    return found
