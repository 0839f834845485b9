"""Opinions: answers read from files and models, matched with entities, made into rows that are never changed.

`reading`, `matching` and `writing` follow one another; `formats` are what is read; questions, actors, views and the
verbs over whole imports stand here. The package is called like its command: `lakehouse.opinions(lake, source)` is
`lakehouse.opinions.step.opinions`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lakehouse.lake import Lake
    from lakehouse.opinions.reading.source import OpinionSource
    from lakehouse.steps.receipts import Receipt


class _Command(ModuleType):
    # As in lakehouse.dimensions: the function and the package have one name.
    def __call__(self, lake: Lake, source: OpinionSource, *, followed_by: Iterable[str] = ()) -> Receipt:
        """See `lakehouse.opinions.step.opinions`."""
        from lakehouse.opinions.step import opinions

        return opinions(lake, source, followed_by=followed_by)


sys.modules[__name__].__class__ = _Command
