"""Formats that answers are read from. To add one: a frozen options class, a reader, one line in FORMATS."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lakehouse.config import nearest
from lakehouse.errors import ConfigError
from lakehouse.opinions.answer import Item
from lakehouse.opinions.formats.csv import CsvOptions, read_csv
from lakehouse.opinions.formats.imagefolder import ImageFolderOptions, read_imagefolder
from lakehouse.opinions.formats.jsonl import JsonlOptions, read_jsonl
from lakehouse.opinions.formats.options import read_options
from lakehouse.opinions.formats.voc import VocOptions, read_voc


@dataclass(frozen=True, slots=True)
class Format:
    """One format.

    Attributes:
        options: Dataclass of its options.
        read: Gives answers, rejects and notes.
        value_kind: value_kind of its answers, unless the options or the records say otherwise.
        files: Pattern of the files that its content hash is made of; "" means the listing itself.
    """

    options: type[Any]
    read: Callable[[Path, Any], Iterator[Item]]
    value_kind: str
    files: str


FORMATS: Mapping[str, Format] = {
    "imagefolder": Format(ImageFolderOptions, read_imagefolder, "label", ""),
    "csv": Format(CsvOptions, read_csv, "label", "*"),
    "jsonl": Format(JsonlOptions, read_jsonl, "label", "*"),
    "voc": Format(VocOptions, read_voc, "regions", "*.xml"),
}


def format_named(name: str) -> Format:
    """Return a format.

    Raises:
        ConfigError: If there is none of that name.
    """
    if name not in FORMATS:
        raise ConfigError(f"unknown opinion format `{name}`{nearest(name, FORMATS)}")
    return FORMATS[name]


def read_answers(name: str, path: str | Path, options: Mapping[str, object]) -> Iterator[Item]:
    """Read a file or folder of annotations; lazy, one item per record in the source's order.

    Args:
        name: imagefolder, csv, jsonl or voc.
        path: File or folder.
        options: Options of the format; `question` and `actor` are always needed.

    Returns:
        Answers and rejects (together: every record), and notes about the source as a whole.

    Raises:
        ConfigError: If the format or an option is unknown.
        IngestError: While reading, if the source as a whole cannot be read.
    """
    found = format_named(name)
    checked = read_options(found.options, options, where=f"opinions format {name}")
    return found.read(Path(path), checked)
