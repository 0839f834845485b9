"""The text of a Praat TextGrid, long or short: what Praat reads of it are its free-standing numbers, texts and flags.

https://www.fon.hum.uva.nl/praat/manual/TextGrid_file_formats.html. A text stands in double quotes, a quote in it is
written twice; everything else ("xmin =", "intervals [1]:") is for people.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass

from lakehouse.errors import RejectedInputError
from lakehouse.opinions.reading import values as parse

_TOKEN = re.compile(r'"((?:[^"]|"")*)"|(<exists>|<absent>)|(?<!\S)([+-]?[0-9.][0-9.eE+-]*)(?!\S)|(?<!\S)![^\n]*')
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
MAX_ENTRIES = 10_000_000


@dataclass(frozen=True, slots=True)
class Tier:
    """One tier: (start, end, text) in seconds; at points start = end.

    Attributes:
        name: Its name; several may have one.
        is_points: Whether it is of points, not of intervals.
        entries: In the order of the file, empty texts included.
    """

    name: str
    is_points: bool
    entries: tuple[tuple[float, float, str], ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """A TextGrid: where it begins and ends, seconds, and its tiers."""

    start: float
    end: float
    tiers: tuple[Tier, ...]


def read_grid(data: bytes, encoding: str) -> Grid:
    """Return the tiers of a file.

    Args:
        data: The file; a byte order mark decides about its encoding.
        encoding: Of a file without one.

    Raises:
        RejectedInputError: wrong_encoding, not_textgrid, malformed or not_a_number.
    """
    tokens = _Tokens(_text(data, encoding))
    if tokens.text() != "ooTextFile" or tokens.text() != "TextGrid":
        raise RejectedInputError("not_textgrid", "does not begin as a TextGrid does")
    start, end = tokens.number(), tokens.number()
    tiers = tuple(_tier(tokens) for _ in range(tokens.count())) if tokens.flag() else ()
    return Grid(start, end, tiers)


def grid_text(grid: Grid) -> str:
    """Return the long form of a TextGrid."""
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", f"xmin = {_number(grid.start)}",
             f"xmax = {_number(grid.end)}", "tiers? <exists>", f"size = {len(grid.tiers)}", "item []:"]  # fmt: skip
    for place, tier in enumerate(grid.tiers, start=1):
        kind, entries = ("TextTier", "points") if tier.is_points else ("IntervalTier", "intervals")
        lines += [f"    item [{place}]:", f'        class = "{kind}"', f"        name = {_quoted(tier.name)}",
                  f"        xmin = {_number(grid.start)}", f"        xmax = {_number(grid.end)}",
                  f"        {entries}: size = {len(tier.entries)}"]  # fmt: skip
        for number, (start, end, text) in enumerate(tier.entries, start=1):
            lines.append(f"        {entries} [{number}]:")
            if tier.is_points:
                lines += [f"            number = {_number(start)}", f"            mark = {_quoted(text)}"]
            else:
                lines += [f"            xmin = {_number(start)}", f"            xmax = {_number(end)}",
                          f"            text = {_quoted(text)}"]  # fmt: skip
    return "\n".join(lines) + "\n"


def _tier(tokens: _Tokens) -> Tier:
    kind, name = tokens.text(), tokens.text()
    if kind not in ("IntervalTier", "TextTier"):
        raise RejectedInputError("malformed", f"has a tier of class {kind!a:.40}")
    tokens.number()
    tokens.number()
    entries = []
    for _ in range(tokens.count()):
        start = tokens.number()
        end = start if kind == "TextTier" else tokens.number()
        if end < start:
            raise RejectedInputError("inverted_interval", f"has an interval from {start:g} to {end:g}")
        entries.append((start, end, tokens.text()))
    return Tier(name, kind == "TextTier", tuple(entries))


class _Tokens:
    def __init__(self, text: str) -> None:
        self._found: Iterator[re.Match[str]] = (each for each in _TOKEN.finditer(text) if not each[0].startswith("!"))

    def text(self) -> str:
        """Return the next text."""
        found = self._next("a text")
        if found[1] is None:
            raise RejectedInputError("malformed", f"has {found[0][:40]!a} where a text in quotes should be")
        return found[1].replace('""', '"')

    def number(self) -> float:
        """Return the next number."""
        found = self._next("a number")
        if found[3] is None:
            raise RejectedInputError("malformed", f"has {found[0][:40]!a} where a number should be")
        return parse.number(found[3], "a number")

    def flag(self) -> bool:
        """Return the next flag."""
        return self._next("<exists>")[2] == "<exists>"

    def count(self) -> int:
        """Return the next number, which counts what follows."""
        found = self.number()
        if found != int(found) or not 0 <= found <= MAX_ENTRIES:
            raise RejectedInputError("malformed", f"counts {found:g} entries")
        return int(found)

    def _next(self, wanted: str) -> re.Match[str]:
        found = next(self._found, None)
        if found is None:
            raise RejectedInputError("malformed", f"ends where {wanted} should be")
        return found


def _text(data: bytes, encoding: str) -> str:
    for mark, name in _MARKS:
        if data.startswith(mark):
            encoding, data = name, data.removeprefix(mark)
            break
    try:
        return data.decode(encoding)
    except (UnicodeDecodeError, LookupError) as error:
        raise RejectedInputError(
            "wrong_encoding", f"is not {encoding}; say what it is, for example --option encoding=latin-1"
        ) from error


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _number(value: float) -> str:
    return f"{value:.15g}"
