"""What a command says on stdout: one line for people, one JSON line for programs."""

from __future__ import annotations

import json
import math
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from lakehouse.errors import printable
from lakehouse.steps.receipts import Receipt

LEAST_COLUMNS = 12
"""Width that a cut column keeps."""


def say(text: str = "") -> None:
    """Write one line to stdout, in which nothing stands that a terminal would obey: names come from strangers."""
    _write(printable(text))


def say_lines(text: str) -> None:
    """Write a text of several lines to stdout; in each of them control characters are written out."""
    # Not `splitlines`, for which other characters end a line too.
    _write("\n".join(map(printable, text.rstrip("\n").split("\n"))))


def _write(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def say_receipt(receipt: Receipt, *, as_json: bool) -> None:
    """Write what a step did."""
    say(receipt.to_json() if as_json else str(receipt))


def say_json(value: object) -> None:
    """Write a value as one line of JSON; what JSON does not know becomes text."""
    say(json_line(value))


def json_line(value: object) -> str:
    """Return a value as one line of JSON; what JSON does not know becomes text, control characters are escaped."""
    text = json.dumps(_finite(value), default=str, ensure_ascii=False, sort_keys=True, allow_nan=False)
    # JSON's own escapes end at the space; a terminal obeys others too, and some of them turn text around.
    return text if text.isprintable() else "".join(map(_escaped, text))


def _escaped(character: str) -> str:
    return character if printable(character) == character else json.dumps(character)[1:-1]


def _finite(value: object) -> object:
    """Return the value with NaN and infinities as text: JSON has no such numbers."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return value


def say_table(header: Sequence[str], rows: Iterable[Sequence[object]], *, width: int | None = None) -> int:
    """Write a table with aligned columns; numbers to the right, control characters written out.

    Args:
        header: Names of the columns.
        rows: Values.
        width: Columns of the terminal to stay within: the longest texts are cut. None cuts nothing.

    Returns:
        How many values were cut.
    """
    rows = list(rows)
    cells = [[_cell(value) for value in row] for row in rows]
    names = [printable(name) for name in header]
    right = [bool(rows) and all(isinstance(row[i], int | float) for row in rows) for i in range(len(names))]
    widths = [max(map(columns_of, column)) for column in zip(names, *cells, strict=True)]
    cut = 0
    if width is not None:
        widths = _narrowed(widths, right, width)
        cut = sum(columns_of(text) > most for line in cells for text, most in zip(line, widths, strict=True))
    for line in (names, ["-" * each for each in widths], *cells):
        aligned = []
        for i, (text, most) in enumerate(zip(line, widths, strict=True)):
            shown = shortened(text, most)
            blanks = " " * (most - columns_of(shown))
            aligned.append(blanks + shown if right[i] else shown + blanks)
        say("  ".join(aligned).rstrip())
    return cut


def say_rows(shown: Sequence[str], rows: Sequence[Mapping[str, object]], *, as_json: bool, none: str) -> None:
    """Print what there is: as JSON whole rows, a line each; else a table of the columns `shown`, or `none`."""
    if as_json:
        for row in rows:
            say_json(row)
    elif rows:
        say_table(shown, [["" if row[name] is None else row[name] for name in shown] for row in rows])
    else:
        say(none)


def _narrowed(widths: Sequence[int], fixed: Sequence[bool], width: int) -> list[int]:
    """Return widths that fill the terminal; numbers stay whole, and no column falls below what tells it apart."""
    room = width - 2 * (len(widths) - 1)
    most = max(widths, default=0)
    low, high = LEAST_COLUMNS, max(most, LEAST_COLUMNS)
    while low < high:
        middle = (low + high + 1) // 2
        taken = sum(each if keep else min(each, middle) for each, keep in zip(widths, fixed, strict=True))
        low, high = (middle, high) if taken <= room else (low, middle - 1)
    return [each if keep else min(each, low) for each, keep in zip(widths, fixed, strict=True)]


def shortened(text: str, most: int) -> str:
    """Return a text that takes so many columns of a terminal at most; one that is cut ends with `…`."""
    if columns_of(text) <= most:
        return text
    kept = ""
    for each in text:
        if columns_of(kept + each) >= most:
            break
        kept += each
    return kept + "…"


def columns_of(text: str) -> int:
    """Return how many columns of a terminal a text takes: two for a wide letter, none for an accent on one."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(each) in "WF" for each in text)
    return len(text) + wide - sum(unicodedata.combining(each) != 0 for each in text)


def _cell(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    return printable(str(value))
