"""Formats that answers are read from: the built-in ones and those that installed packages bring.

To add one here: a module with a frozen options class, a reader and a `Format` of both, and a line in
`BUILT_IN`. A package
adds one with an entry point of group `petrel.formats`, whose name is that of the format:

    [project.entry-points."petrel.formats"]
    points = "my_package.points:POINTS"
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from lakehouse.errors import ConfigError
from lakehouse.names import nearest
from lakehouse.opinions.formats.audacity import AUDACITY
from lakehouse.opinions.formats.coco import COCO
from lakehouse.opinions.formats.csv import CSV
from lakehouse.opinions.formats.cvat import CVAT
from lakehouse.opinions.formats.format import Format
from lakehouse.opinions.formats.imagefolder import IMAGEFOLDER
from lakehouse.opinions.formats.jsonl import JSONL
from lakehouse.opinions.formats.labelme import LABELME
from lakehouse.opinions.formats.labelstudio import LABELSTUDIO
from lakehouse.opinions.formats.mot import MOT
from lakehouse.opinions.formats.openlabel import OPENLABEL
from lakehouse.opinions.formats.parquet import PARQUET
from lakehouse.opinions.formats.textgrid import TEXTGRID
from lakehouse.opinions.formats.voc import VOC
from lakehouse.opinions.formats.yolo import YOLO
from lakehouse.opinions.reading.answer import Item
from lakehouse.opinions.words import FORMAT_PACKAGES
from lakehouse.plugins import named
from lakehouse.typed import fill

BUILT_IN: Mapping[str, Format] = {
    "imagefolder": IMAGEFOLDER,
    "csv": CSV,
    "jsonl": JSONL,
    "voc": VOC,
    "labelstudio": LABELSTUDIO,
    "cvat": CVAT,
    "labelme": LABELME,
    "mot": MOT,
    "audacity": AUDACITY,
    "textgrid": TEXTGRID,
    "parquet": PARQUET,
    "openlabel": OPENLABEL,
    "coco": COCO,
    "yolo": YOLO,
}


@lru_cache(maxsize=1)
def formats() -> Mapping[str, Format]:
    """Return every format by its name: the built-in ones, then those of installed packages.

    Raises:
        ConfigError: If an entry point cannot be loaded, or two formats have one name or one ending of files.
    """
    found = dict(BUILT_IN)
    endings = {ending: name for name, each in found.items() for ending in each.endings if each.sniff is None}
    for name, each in named(FORMAT_PACKAGES, Format):
        if name in found:
            raise ConfigError(f"two formats are called `{name}`; rename one, or uninstall its package")
        for ending in each.endings if each.sniff is None else ():
            if endings.setdefault(ending, name) != name:
                raise ConfigError(f"formats `{endings[ending]}` and `{name}` both read files that end with {ending}")
        found[name] = each
    return found


def format_named(name: str) -> Format:
    """Return a format.

    Raises:
        ConfigError: If there is none of that name.
    """
    known = formats()
    if name not in known:
        raise ConfigError(f"unknown opinion format `{name}`{nearest(name, known)}")
    return known[name]


def format_options(name: str, options: Mapping[str, object]) -> Any:
    """Return the checked options of a format.

    Raises:
        ConfigError: If the format or an option is unknown, missing or of the wrong type.
    """
    return fill(format_named(name).options, options, where=f"opinions format {name}", word="option")


def read_answers(name: str, path: str | Path, options: Mapping[str, object]) -> Iterator[Item]:
    """Read a file or folder of annotations; lazy, one item per record in the source's order.

    Args:
        name: imagefolder, csv, jsonl, voc or one that a package brings.
        path: File or folder.
        options: Options of the format; `question` and `actor` are always needed.

    Returns:
        Answers and rejects (together: every record), tallies, and notes about the source as a whole.

    Raises:
        ConfigError: If the format or an option is unknown.
        IngestError: While reading, if the source as a whole cannot be read.
    """
    found = format_named(name)
    checked = format_options(name, options)
    for part in found.parts(Path(path)):
        yield from found.read(Path(path), part, checked)
