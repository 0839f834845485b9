"""What labels are called, and what is believed: ontology, label policies, and the story of one thing.

`lakehouse.labels(lake, question, policy, known_at=..., valid_at=...)` is `lakehouse.labels.believed.labels`: the
package is called like its verb.
"""

from __future__ import annotations

import sys
from datetime import datetime
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lakehouse.engines import Relation
    from lakehouse.labels.policy import Policy
    from lakehouse.lake import Lake


class _Command(ModuleType):
    # As in lakehouse.opinions: the function and the package have one name.
    def __call__(
        self,
        lake: Lake,
        question: str,
        policy: str | Policy = "majority",
        *,
        known_at: datetime | None = None,
        valid_at: datetime | None = None,
    ) -> Relation:
        """See `lakehouse.labels.believed.labels`."""
        from lakehouse.labels.believed import labels

        return labels(lake, question, policy, known_at=known_at, valid_at=valid_at)


sys.modules[__name__].__class__ = _Command
