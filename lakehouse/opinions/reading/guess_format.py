"""Which format annotation files have: by their names, and where several share an ending, by how they begin."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from lakehouse.errors import ConfigError
from lakehouse.media.sniff import claimed
from lakehouse.opinions.formats import formats

MEDIA = ("image/", "audio/", "video/")
MAX_NAMES = 10_000
"""Names that are looked at in a folder."""

MAX_LOOKED_INTO = 20
"""Files of a folder that are opened: those of one folder are of one tool."""

HEAD_BYTES = 1 << 16

NESTED = ("voc", "labelme", "parquet")
"""Formats whose files are looked for in folders of a folder."""


def guess_format(path: Path) -> str:
    """Return the format of a file or folder.

    Raises:
        ConfigError: If it is none that is known, or several fit.
    """
    if not path.exists():
        raise ConfigError(f"{path} does not exist; give a file or folder of annotations")
    if path.is_file():
        fitting = _formats_of(path)
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            raise ConfigError(f"{path}: could be of several formats; say which: {_flags(fitting)}")
        shared = _ending_as(path.name)
        if shared:
            raise ConfigError(f"{path}: looks like none of those that end so; say which it is: {_flags(shared)}")
        known = ", ".join(name for name, each in formats().items() if each.endings)
        raise ConfigError(f"{path}: cannot tell its format by its name; say it: --format, one of {known}")
    kinds = sorted(set(_kinds(path)))
    if len(kinds) == 1:
        return kinds[0]
    if not kinds:
        raise ConfigError(
            f"{path}: has no folder of pictures per class and no file of annotations that is known; say what it is: "
            "--format"
        )
    raise ConfigError(
        f"{path}: holds what several formats read; say which: {_flags(kinds)}, or give the file that is meant"
    )


def _kinds(path: Path) -> Iterator[str]:
    looked = 0
    for folder, name in itertools.islice(_names(path), MAX_NAMES):
        if folder and (claimed(name) or "").startswith(MEDIA):
            yield "imagefolder"
            continue
        fitting = _ending_as(name)
        fitting = [each for each in fitting if not folder or each in NESTED]
        if not fitting:
            continue
        if any(formats()[each].sniff is not None for each in fitting):
            looked += 1
            if looked > MAX_LOOKED_INTO:
                continue
            fitting = [each for each in _formats_of(path / folder / name) if not folder or each in NESTED]
        yield from fitting


def _ending_as(name: str) -> list[str]:
    """Return the formats whose files end as this name does."""
    return [of for of, each in formats().items() if each.endings and name.lower().endswith(each.endings)]


def _formats_of(file: Path) -> list[str]:
    """Return the formats that a file may have, by its name and by how it begins."""
    fitting = _ending_as(file.name)
    if all(formats()[each].sniff is None for each in fitting):
        return fitting
    try:
        with file.open("rb") as stream:
            head = stream.read(HEAD_BYTES)
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read ({error.strerror})") from error
    known = [each for each in fitting if (sniff := formats()[each].sniff) is not None and sniff(head)]
    return known or [each for each in fitting if formats()[each].sniff is None]


def _flags(names: Iterable[str]) -> str:
    return " or ".join(f"--format {name}" for name in names)


def _names(path: Path) -> Iterator[tuple[str, str]]:
    for folder, folders, names in os.walk(path):
        folders.sort()
        relative = os.path.relpath(folder, path)
        for name in sorted(names):
            yield "" if relative == "." else relative, name
