"""The consensus as people call it: settings by name."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from lakehouse.consensus import step
from lakehouse.consensus.settings import Settings
from lakehouse.lake import Lake
from lakehouse.steps.receipts import Receipt
from lakehouse.typed import fill


def consensus(
    lake: Lake,
    *,
    question: str,
    method: str,
    known_at: datetime | None = None,
    valid_at: datetime | None = None,
    escalate: str | Path | None = None,
    **options: Any,
) -> Receipt:
    """Make and record a consensus: `lakehouse.consensus.step.consensus`.

    Args:
        lake: The lake.
        question: The question.
        method: Name of the method; see `lakehouse.consensus.registry`.
        known_at: As we knew it then.
        valid_at: As had been said by then.
        escalate: File for the list of what stays undecided.
        options: The other fields of `lakehouse.consensus.settings.Settings`, by name.
    """
    settings = fill(Settings, {"method": method, **options}, where="consensus", word="option")
    return step.consensus(
        lake, question=question, settings=settings, known_at=known_at, valid_at=valid_at, escalate=escalate
    )
