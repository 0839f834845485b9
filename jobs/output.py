"""What a command says on stdout: one line for people, one JSON line for programs."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Sequence

from lakehouse.receipts import Receipt


def say(text: str = "") -> None:
    """Write one line to stdout."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def say_receipt(receipt: Receipt, *, as_json: bool) -> None:
    """Write what a step did."""
    say(receipt.to_json() if as_json else str(receipt))


def say_json(value: object) -> None:
    """Write a value as one line of JSON; what JSON does not know becomes text."""
    say(json.dumps(_finite(value), default=str, ensure_ascii=False, sort_keys=True, allow_nan=False))


def _finite(value: object) -> object:
    """Return the value with NaN and infinities as text: JSON has no such numbers."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return value


def say_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table with aligned columns; numbers to the right."""
    cells = [[_cell(value) for value in row] for row in rows]
    right = [all(isinstance(row[i], int | float) for row in rows) for i in range(len(header))] if cells else []
    widths = [max(len(text) for text in column) for column in zip(header, *cells, strict=True)]
    for line in (list(header), ["-" * width for width in widths], *cells):
        aligned = (
            text.rjust(width) if right and right[i] else text.ljust(width)
            for i, (text, width) in enumerate(zip(line, widths, strict=True))
        )
        say("  ".join(aligned).rstrip())


def _cell(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)
