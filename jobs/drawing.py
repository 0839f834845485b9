"""Pictures and plots in a terminal: two pixels a character in 24-bit colour, and bars of blocks."""

from __future__ import annotations

import io
import math
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from jobs.output import columns_of, say, shortened
from lakehouse.errors import PetrelError, one_line, printable

if TYPE_CHECKING:
    from lakehouse.lake import Lake

WIDEST = 64
"""Characters of a picture."""
BLOCKS = " ▏▎▍▌▋▊▉█"
"""Eighths of a bar."""
MOST_BARS = 60
SHORTEST_BAR = 8


def shows_colours() -> bool:
    """Whether stdout is a terminal that colours: not with NO_COLOR (no-color.org), TERM=dumb or in a pipe."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"


def draw_entity(lake: Lake, entity_id: str) -> None:
    """Write a small picture of an entity where the terminal can show it; what has none is passed over with a word."""
    import threading

    from PIL import Image

    from lakehouse.viewing.places import Places
    from lakehouse.viewing.previews import Previews

    try:
        places = Places(lake, threading.Lock())
        preview, data = Previews(lake.config, places, lake.scratch / "previews").of(entity_id)
    except PetrelError as error:
        say(f"(no picture: {one_line(error, limit=120)})")
        return
    if not data:
        say(preview.text[:400] or f"(no picture: {preview.problem or preview.media_type})")
        return
    with Image.open(io.BytesIO(data)) as picture:
        width = min(WIDEST, shutil.get_terminal_size().columns - 1)
        sys.stdout.write(coloured(picture.convert("RGB"), width=width))
        sys.stdout.flush()
    if preview.note:
        say(f"({preview.note})")


def coloured(picture: object, *, width: int) -> str:
    """Return an RGB picture of Pillow's as lines of text: each character is two pixels, one upon the other."""
    from PIL import Image

    assert isinstance(picture, Image.Image)
    columns = max(1, min(width, picture.width))
    height = max(2, round(picture.height * columns / picture.width))
    height += height % 2
    small = picture.resize((columns, height), Image.Resampling.BOX)
    pixels = small.load()
    assert pixels is not None
    lines = []
    for y in range(0, height, 2):
        cells = (
            "\x1b[38;2;{};{};{}m\x1b[48;2;{};{};{}m▀".format(*_rgb(pixels[x, y]), *_rgb(pixels[x, y + 1]))
            for x in range(columns)
        )
        lines.append("".join(cells) + "\x1b[0m\n")
    return "".join(lines)


def _rgb(pixel: object) -> tuple[int, ...]:
    assert isinstance(pixel, tuple)
    return pixel


def bars(rows: Sequence[Mapping[str, object]], *, width: int | None = None) -> list[str]:
    """Return a line with a bar for each row: the first column names it, the last number is its length.

    Args:
        rows: The rows, `MOST_BARS` of which are drawn.
        width: Characters of a line; None: those of the terminal.

    Returns:
        Lines; [] for rows without a number.
    """
    width = width or shutil.get_terminal_size().columns
    names = list(rows[0]) if rows else []
    numbers = [name for name in names if any(_is_number(row[name]) for row in rows)]
    if not numbers:
        return []
    value = numbers[-1]
    label = next((name for name in names if name != value), value)
    shown = rows[:MOST_BARS]
    counts = [float(row[value]) if _is_number(row[value]) else 0.0 for row in shown]  # type: ignore[arg-type]
    figures = [f"{number:.12g}" for number in counts]
    right = max(map(len, figures))
    # Names leave a bar of eight letters, and the rest of a line, to the numbers.
    most_of_name = min(32, max(4, width - right - 3 - SHORTEST_BAR))
    said = [shortened(printable(str("" if row[label] is None else row[label])), most_of_name) for row in shown]
    left = max(map(columns_of, said))
    room = max(1, width - left - right - 3)
    most = max(0.0, *counts) or 1.0
    lines = []
    for name, number, figure in zip(said, counts, figures, strict=True):
        eighths = round(room * 8 * max(0.0, number) / most)
        bar = "█" * (eighths // 8) + (BLOCKS[eighths % 8] if eighths % 8 else "")
        lines.append(f"{' ' * (left - columns_of(name))}{name} {figure:>{right}} {bar}")
    if len(rows) > MOST_BARS:
        lines.append(f"and {len(rows) - MOST_BARS:,} more rows without a bar")
    return lines


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool) and math.isfinite(value)
