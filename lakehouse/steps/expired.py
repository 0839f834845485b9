"""Entities whose bytes expired: steps that read bytes pass them by."""

from __future__ import annotations

import pyarrow as pa

from lakehouse.engines import Relation
from lakehouse.erasures import expired_entities
from lakehouse.lake import Lake


def expired(lake: Lake) -> Relation:
    """Return them as a relation with the column entity_id."""
    gone = pa.array(sorted(expired_entities(lake.home)), pa.string())
    return lake.engine.from_arrow(pa.table({"entity_id": gone}))
