"""[as_of]: what had been said, and what we knew."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from lakehouse.datasets.recipes.canonical import CODEC, INSTANT


@dataclass(frozen=True, slots=True)
class AsOf:
    """What had been said, and what we knew.

    Attributes:
        valid_at: Only opinions said until then (event time); None for all.
        known_at: Only opinions that we had learned until then (ingest time); None for all.
    """

    valid_at: datetime | None = field(default=None, metadata={CODEC: INSTANT})
    known_at: datetime | None = field(default=None, metadata={CODEC: INSTANT})
