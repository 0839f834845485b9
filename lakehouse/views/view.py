"""What a view is."""

from __future__ import annotations

from typing import NamedTuple


class View(NamedTuple):
    """One view: its text over tables and other views, and what one row is."""

    sql: str
    doc: str
