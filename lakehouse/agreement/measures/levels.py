"""Levels of measurement; help of commands needs them before NumPy is loaded."""

from __future__ import annotations

LEVELS = ("nominal", "ordinal", "interval", "ratio")
