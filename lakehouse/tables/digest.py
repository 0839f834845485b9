"""The digest of rows, computed by the engine that holds them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from schemas.digest import MODULUS, Digest

if TYPE_CHECKING:
    from lakehouse.engines.protocol import Engine, Relation

SUMS = "count(*) as n, sum(petrel_half(row_hash, 1)) as low, sum(petrel_half(row_hash, 2)) as high"
"""Number of rows and the two sums of hash halves, not yet reduced modulo 2**64."""

DIGEST_SQL = f"select {SUMS} from mine"


def relation_digest(engine: Engine, rows: Relation) -> Digest:
    """Return the digest of rows that have a `row_hash`."""
    return digest_from_sums(engine.arrow(engine.sql(DIGEST_SQL, {"mine": rows}, {})).to_pylist()[0])


def digest_from_sums(found: Mapping[str, Any]) -> Digest:
    """Return the digest from a row that has the columns of `SUMS`."""
    # Sums of no rows are NULL; sums of many come as decimals.
    low, high = (int(found[half] or 0) % MODULUS for half in ("low", "high"))
    return Digest(found["n"], low, high)
