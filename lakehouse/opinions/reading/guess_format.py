"""Which format annotation files have, by their names."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

from lakehouse.errors import ConfigError
from lakehouse.media.sniff import claimed
from lakehouse.opinions.formats import formats

MEDIA = ("image/", "audio/", "video/")
MAX_NAMES = 10_000
"""Names that are looked at in a folder."""


def guess_format(path: Path) -> str:
    """Return the format of a file or folder.

    Raises:
        ConfigError: If it is none that is known, or several fit.
    """
    if not path.exists():
        raise ConfigError(f"{path} does not exist; give a file or folder of annotations")
    if path.is_file():
        found = _format_of(path.name)
        if found is None:
            raise ConfigError(f"{path}: cannot tell its format by its name; say it: --format csv, jsonl or voc")
        return found
    kinds = sorted(set(_kinds(path)))
    if len(kinds) == 1:
        return kinds[0]
    if not kinds:
        raise ConfigError(
            f"{path}: has no folder of pictures per class, no .xml, .csv or .jsonl file; say what it is: --format"
        )
    shown = " or ".join(f"--format {kind}" for kind in kinds)
    raise ConfigError(f"{path}: holds what several formats read; say which: {shown}, or give the file that is meant")


def _kinds(path: Path) -> Iterator[str]:
    for folder, name in itertools.islice(_names(path), MAX_NAMES):
        found = _format_of(name)
        if folder and (claimed(name) or "").startswith(MEDIA):
            yield "imagefolder"
        elif found is not None and (not folder or found == "voc"):
            yield found


def _format_of(name: str) -> str | None:
    """Return the format whose files end as this name does."""
    ends = ((name.lower().endswith(each.endings), of) for of, each in formats().items() if each.endings)
    return next((of for fits, of in ends if fits), None)


def _names(path: Path) -> Iterator[tuple[str, str]]:
    for folder, folders, names in os.walk(path):
        folders.sort()
        relative = os.path.relpath(folder, path)
        for name in sorted(names):
            yield "" if relative == "." else relative, name
