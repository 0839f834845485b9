"""What a format of annotation files is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lakehouse.opinions.formats.writer import Ontology, Place, Said, Subject, Writer
from lakehouse.opinions.questions import Stated
from lakehouse.opinions.reading.answer import Item

__all__ = ["Format", "Ontology", "Place", "Said", "Stated", "Subject", "Writer", "itself"]


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
        endings: How names of its files end, in lower case: by them the format is guessed, and in a folder of several
            files those of other formats are told.
        sniff: Of several formats with one ending: whether a file looks like this one, by its first 64 KiB. None: it
            is taken where no other is recognised.
        stated: What the files say about the question as a whole; None: nothing.
        writer: How it is written; None: it is only read.
    """

    options: type[Any]
    parts: Callable[[Path], list[str]]
    read: Callable[[Path, str, Any], Iterator[Item]]
    value_kind: str
    names_only: bool = False
    judge: Callable[[Mapping[str, int], Any], str | None] | None = None
    endings: tuple[str, ...] = ()
    sniff: Callable[[bytes], bool] | None = None
    stated: Callable[[Path, Any], Stated] | None = None
    writer: Writer | None = None


def itself(_path: Path) -> list[str]:
    """Return the parts of what is read as one: the path itself."""
    return [""]
