"""Consensus: one answer made of many, itself an opinion, with its inputs recorded.

`methods` are pure functions; `reading` finds what holds, `registry` names the methods, `step` records what they say.
The package is called like its command: `lakehouse.consensus(lake, question=..., method="majority")`.
"""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lakehouse.lake import Lake
    from lakehouse.steps.receipts import Receipt


class _Command(ModuleType):
    # As in lakehouse.dimensions: the function and the package have one name.
    def __call__(
        self,
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
        from lakehouse.consensus.settings import Settings
        from lakehouse.consensus.step import consensus
        from lakehouse.typed import fill

        settings = fill(Settings, {"method": method, **options}, where="consensus", word="option")
        return consensus(
            lake, question=question, settings=settings, known_at=known_at, valid_at=valid_at, escalate=escalate
        )


sys.modules[__name__].__class__ = _Command
