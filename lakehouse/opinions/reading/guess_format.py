"""Which format annotation files have, by their names."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

from lakehouse.errors import ConfigError
from lakehouse.media.sniff import claimed

ENDINGS = {
    ".csv": "csv", ".tsv": "csv", ".tab": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".xml": "voc",
}
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
        found = ENDINGS.get(path.suffix.lower())
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
        ending = os.path.splitext(name)[1].lower()
        if folder and (claimed(name) or "").startswith(MEDIA):
            yield "imagefolder"
        elif ending in ENDINGS and (not folder or ENDINGS[ending] == "voc"):
            yield ENDINGS[ending]


def _names(path: Path) -> Iterator[tuple[str, str]]:
    for folder, folders, names in os.walk(path):
        folders.sort()
        relative = os.path.relpath(folder, path)
        for name in sorted(names):
            yield "" if relative == "." else relative, name
