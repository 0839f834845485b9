"""Agreement: how far actors say the same, what each of them is like, and which labels look wrong.

`measures` are pure functions; `measure` reads what holds and asks them; `page` is the report as HTML. The package is
called like its command: `lakehouse.agreement(lake, question=...)` is `lakehouse.agreement.measure.agreement`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lakehouse.agreement.report import Agreement
    from lakehouse.lake import Lake


class _Command(ModuleType):
    # As in lakehouse.dimensions: the function and the package have one name.
    def __call__(
        self,
        lake: Lake,
        *,
        question: str,
        reference: str | None = None,
        kinds: Sequence[str] = (),
        actors: Sequence[str] = (),
        level: str | None = None,
        known_at: datetime | None = None,
        valid_at: datetime | None = None,
        window_days: int = 30,
    ) -> Agreement:
        """See `lakehouse.agreement.measure.agreement`."""
        from lakehouse.agreement.measure import agreement

        return agreement(
            lake, question=question, reference=reference, kinds=kinds, actors=actors, level=level, known_at=known_at,
            valid_at=valid_at, window_days=window_days,
        )  # fmt: skip


sys.modules[__name__].__class__ = _Command
