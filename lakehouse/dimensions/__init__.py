"""Measuring entities: extractors, their registry, and the function that both engines map over batches.

The package is called like its command: `lakehouse.dimensions(lake)` is `lakehouse.dimensions.step.dimensions`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lakehouse.extractors.extractor import Extractor
    from lakehouse.lake import Lake
    from lakehouse.steps.receipts import Receipt


class _Command(ModuleType):
    # A function of the library and the package behind it have the name of one command; Python keeps one of the two
    # under `lakehouse.dimensions`, by which was imported first.
    def __call__(self, lake: Lake, *, extractors: Iterable[Extractor] | None = None) -> Receipt:
        """See `lakehouse.dimensions.step.dimensions`."""
        from lakehouse.dimensions.step import dimensions

        return dimensions(lake, extractors=extractors)


sys.modules[__name__].__class__ = _Command
