"""What a format of annotation files is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lakehouse.opinions.formats.writer import Ontology, Place, Said, Subject, Writer
from lakehouse.opinions.questions import Stated
from lakehouse.opinions.reading.answer import Item

__all__ = ["WHOLE", "Format", "Ontology", "Piece", "Place", "Said", "Stated", "Subject", "Writer", "itself"]


@dataclass(frozen=True, slots=True)
class Piece:
    """Which of the equal pieces of a large file a task reads; 0 of 1 is all of it.

    Attributes:
        number: Counted from 0.
        of: Number of pieces.
    """

    number: int = 0
    of: int = 1

    @property
    def is_first(self) -> bool:
        """Whether no other comes before."""
        return self.number == 0

    @property
    def is_last(self) -> bool:
        """Whether no other comes after."""
        return self.number == self.of - 1

    def share(self, count: int) -> range:
        """Return the places of `count` things that are in it: all pieces together have each once, in order."""
        return range(count * self.number // self.of, count * (self.number + 1) // self.of)


WHOLE = Piece()


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
        one_each: Whether an import holds one answer about a subject: another one that says otherwise, neither of
            which has a time, is rejected (`duplicate_subject`), for neither corrects the other. Else the later holds.
        writer: How it is written; None: it is only read.
        read_piece: Gives the items of one piece of a part, those of all pieces in their order being what `read` gives:
            so a large file is read by several tasks. None: a part is read as one.
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
    one_each: bool = False
    writer: Writer | None = None
    read_piece: Callable[[Path, str, Any, Piece], Iterator[Item]] | None = None


def itself(_path: Path) -> list[str]:
    """Return the parts of what is read as one: the path itself."""
    return [""]
