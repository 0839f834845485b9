"""Plots as SVG in the page itself: bars, a matrix, a line. Texts are escaped; nothing is fetched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

BAR_PX, GAP_PX, NAME_PX, PLOT_PX = 18, 4, 180, 360
CELL_PX = 22
SHORT = 24


def bars(values: Mapping[str, float], *, most: float | None = None, form: str = "{:,.0f}") -> str:
    """Return horizontal bars.

    Args:
        values: Name -> number, at least 0.
        most: Number that fills the width; None: the greatest.
        form: How a number is written.
    """
    top = most or max(values.values(), default=0.0) or 1.0
    lines = []
    for place, (name, value) in enumerate(values.items()):
        y = place * (BAR_PX + GAP_PX)
        middle, width = y + BAR_PX * 0.72, PLOT_PX * min(value / top, 1.0)
        lines.append(
            f'<text x="{NAME_PX - 6}" y="{middle:.1f}" text-anchor="end">{_short(name)}</text>'
            f'<rect x="{NAME_PX}" y="{y}" width="{width:.1f}" height="{BAR_PX}" class="bar"/>'
            f'<text x="{NAME_PX + width + 6:.1f}" y="{middle:.1f}">{form.format(value)}</text>'
        )
    return _svg(NAME_PX + PLOT_PX + 80, len(values) * (BAR_PX + GAP_PX), lines)


def matrix(names: Sequence[str], shares: Mapping[tuple[str, str], float]) -> str:
    """Return a matrix of shares, 0 (white) to 1 (dark); pairs that are not there stay empty.

    Args:
        names: Rows and columns.
        shares: (row, column) -> 0 to 1; each pair stands in both halves.
    """
    lines = []
    for row, one in enumerate(names):
        lines.append(f'<text x="{NAME_PX - 6}" y="{row * CELL_PX + 15}" text-anchor="end">{_short(one)}</text>')
        for column, other in enumerate(names):
            share = shares.get((one, other), shares.get((other, one)))
            x, y = NAME_PX + column * CELL_PX, row * CELL_PX
            if share is not None:
                told = escape(f"{one}, {other}: {share:.3f}")
                lines.append(
                    f'<rect x="{x}" y="{y}" width="{CELL_PX - 1}" height="{CELL_PX - 1}" class="bar" '
                    f'fill-opacity="{max(share, 0.0):.3f}"><title>{told}</title></rect>'
                    f'<text x="{x + CELL_PX / 2 - 0.5}" y="{y + 15}" text-anchor="middle" class="small">'
                    f"{round(share * 100)}</text>"
                )
    return _svg(NAME_PX + len(names) * CELL_PX, len(names) * CELL_PX, lines)


def line(points: Sequence[float], *, width: int = 120, height: int = 24) -> str:
    """Return a line through shares, 0 (foot) to 1 (top), one after the other at equal steps."""
    if len(points) < 2:
        return ""
    step = (width - 4) / (len(points) - 1)
    places = " ".join(f"{2 + n * step:.1f},{(height - 4) * (1 - share) + 2:.1f}" for n, share in enumerate(points))
    return _svg(width, height, [f'<polyline points="{places}" class="line"/>'])


def wave(peaks: Sequence[float], *, width: int = 120, height: int = 48) -> str:
    """Return the outline of a recording: a bar about the middle for each peak, 0 to 1."""
    step = width / len(peaks)
    lines = [
        f'<rect x="{place * step:.1f}" y="{height * (1 - peak) / 2:.1f}" width="{step:.1f}" '
        f'height="{max(height * peak, 1):.1f}" class="bar"/>'
        for place, peak in enumerate(peaks)
    ]
    return _svg(width, height, lines)


def _short(name: str) -> str:
    return escape(name if len(name) <= SHORT else f"{name[: SHORT - 1]}…")


def _svg(width: float, height: float, lines: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" '
    head += f'height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}" role="img">'
    return f"{head}{''.join(lines)}</svg>"
