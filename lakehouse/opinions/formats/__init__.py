"""Formats that answers are read from. To add one: a frozen options class, a reader, one line in FORMATS."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lakehouse.errors import ConfigError
from lakehouse.names import nearest
from lakehouse.opinions.formats.common import plain_files
from lakehouse.opinions.formats.csv import CsvOptions, read_csv
from lakehouse.opinions.formats.imagefolder import ImageFolderOptions, read_imagefolder
from lakehouse.opinions.formats.jsonl import JsonlOptions, read_jsonl
from lakehouse.opinions.formats.voc import VocOptions, judge_voc, read_voc, voc_files
from lakehouse.opinions.reading.answer import Item
from lakehouse.typed import fill


@dataclass(frozen=True, slots=True)
class Format:
    """One format.

    Attributes:
        options: Dataclass of its options.
        parts: Files that are read apart from each other, relative to the path; "" is the path itself.
        read: Gives the answers, rejects and notes of one part.
        value_kind: value_kind of its answers, unless the options say otherwise; "": the records tell.
        names_only: Whether the names of files are all it reads: then they are its content.
        judge: From the summed counts of all parts to one thing that a person should know, or None.
    """

    options: type[Any]
    parts: Callable[[Path], list[str]]
    read: Callable[[Path, str, Any], Iterator[Item]]
    value_kind: str
    names_only: bool = False
    judge: Callable[[Mapping[str, int], Any], str | None] | None = None


def _itself(_path: Path) -> list[str]:
    return [""]


FORMATS: Mapping[str, Format] = {
    "imagefolder": Format(ImageFolderOptions, _itself, read_imagefolder, "label", names_only=True),
    "csv": Format(CsvOptions, functools.partial(plain_files, pattern="*.csv"), read_csv, "label"),
    "jsonl": Format(JsonlOptions, functools.partial(plain_files, pattern="*.jsonl"), read_jsonl, ""),
    "voc": Format(VocOptions, voc_files, read_voc, "regions", judge=judge_voc),
}


def format_named(name: str) -> Format:
    """Return a format.

    Raises:
        ConfigError: If there is none of that name.
    """
    if name not in FORMATS:
        raise ConfigError(f"unknown opinion format `{name}`{nearest(name, FORMATS)}")
    return FORMATS[name]


def format_options(name: str, options: Mapping[str, object]) -> Any:
    """Return the checked options of a format.

    Raises:
        ConfigError: If the format or an option is unknown, missing or of the wrong type.
    """
    return fill(format_named(name).options, options, where=f"opinions format {name}", word="option")


def read_answers(name: str, path: str | Path, options: Mapping[str, object]) -> Iterator[Item]:
    """Read a file or folder of annotations; lazy, one item per record in the source's order.

    Args:
        name: imagefolder, csv, jsonl or voc.
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
