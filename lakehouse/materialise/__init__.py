"""Materialising: a dataset version becomes a folder of Parquet that `loaders.make_reader` reads.

`step` is the verb; `samples` says what one sample is made of; `published` tells whether a folder is still what was
published. The package is called like its command: `lakehouse.materialise(lake, dataset)` is
`lakehouse.materialise.step.materialise`.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lakehouse.lake import Lake
    from lakehouse.steps.receipts import Receipt


class _Command(ModuleType):
    # As in lakehouse.dimensions: the function and the package have one name.
    def __call__(self, lake: Lake, dataset: str) -> Receipt:
        """See `lakehouse.materialise.step.materialise`."""
        from lakehouse.materialise.step import materialise

        return materialise(lake, dataset)


sys.modules[__name__].__class__ = _Command
