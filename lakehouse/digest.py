"""The digest of a table, and how commits carry it."""

from __future__ import annotations

import json
from collections.abc import Mapping

from lakehouse.engines.protocol import Engine, Relation
from schemas.digest import MODULUS, Digest, parse_digest

DIGEST_SQL = """
select count(*) as n, sum(petrel_half(row_hash, 1)) as low, sum(petrel_half(row_hash, 2)) as high from mine
"""
"""One row: number of rows and the two sums of hash halves, not yet reduced modulo 2**64."""


def relation_digest(engine: Engine, rows: Relation) -> Digest:
    """Return the digest of rows that have a `row_hash`."""
    found = engine.arrow(engine.sql(DIGEST_SQL, {"mine": rows}, {})).to_pylist()[0]
    # Sums of no rows are NULL; sums of many come as decimals.
    low, high = (int(found[half] or 0) % MODULUS for half in ("low", "high"))
    return Digest(found["n"], low, high)


def commit_metadata(*, step: str, engine: str, added: int, digest: Digest, version: int) -> str:
    """Return the JSON that every commit of ours carries.

    Args:
        step: Name of the step.
        engine: Name of the engine.
        added: Rows that this commit adds.
        digest: Digest of the table after it.
        version: Version that it is meant to become.
    """
    record = {"step": step, "engine": engine, "rows_added": added, "digest": str(digest), "version": version}
    return json.dumps({"petrel": record}, sort_keys=True)


def digest_from_metadata(text: str | None, version: int) -> Digest | None:
    """Return the digest that the commit of `version` carries.

    None if the commit is not one of ours, or became another version than it was meant to: then somebody who
    does not take our lock committed in between, and the sum leaves their rows out.
    """
    record = commit_record(text)
    try:
        return parse_digest(record["digest"]) if record["version"] == version else None
    except (ValueError, KeyError):
        return None


def commit_record(text: str | None) -> Mapping[str, object]:
    """Return what `commit_metadata` put into a commit; empty if the commit is not one of ours."""
    try:
        record = json.loads(text or "")["petrel"]
    except (ValueError, KeyError, TypeError):
        return {}
    return record if isinstance(record, dict) else {}
