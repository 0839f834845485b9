"""What one write changed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Inserted:
    """What one write changed in one table."""

    table: str
    version_before: int
    version_after: int
    rows_offered: int
    rows_new: int
    digest: str
