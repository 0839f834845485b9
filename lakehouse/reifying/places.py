"""Positions on the earth to cells of a grid: the same cell whatever else is known, in whatever order it came."""

from __future__ import annotations

import math

DEGREE_M = 111_319.49
"""A degree of a great circle of the earth's mean equatorial radius, m (WGS 84: 6 378 137 m)."""


def cell_of(latitude: float, longitude: float, cell_m: float) -> tuple[int, int]:
    """Return the cell of a position: row from the south pole, place in the row from the date line eastwards.

    Rows are `cell_m` high. Each is cut into the whole number of cells that are nearest to `cell_m` wide in its middle,
    so that cells close at the date line and a row at a pole is one cell or a few.

    Args:
        latitude: Degrees north, -90 to 90.
        longitude: Degrees east, -180 to 180.
        cell_m: Side of a cell, m, above 0.

    Raises:
        ValueError: If there is no such position.
    """
    if not (-90.0 <= latitude <= 90.0 and -180.0 <= longitude <= 180.0):
        raise ValueError(f"no position on the earth: latitude {latitude}, longitude {longitude}")
    height = cell_m / DEGREE_M
    rows = max(1, math.ceil(180.0 / height))
    row = min(int((latitude + 90.0) / height), rows - 1)
    middle = min((row + 0.5) * height - 90.0, 90.0)
    cells = max(1, round(360.0 * math.cos(math.radians(middle)) / height))
    return row, int((longitude + 180.0) / 360.0 * cells) % cells
