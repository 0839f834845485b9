"""What a commit of ours carries beside its rows: the step, the digest after it, the hash of the entry before."""

from __future__ import annotations

import json
from collections.abc import Mapping

from schemas.digest import Digest, parse_digest

ERASE = "erase"
"""Step of the commits that take rows out for privacy: what those were in goes, whatever needs it."""


def commit_facts(
    *, step: str, engine: str, added: int, digest: Digest, version: int, previous: str, fence: int = 0
) -> dict[str, object]:
    """Return what every commit of ours carries, beside its files: the committer adds them.

    Args:
        step: Name of the step.
        engine: Name of the engine.
        added: Rows that this commit adds.
        digest: Digest of the table after it.
        version: Version that it is meant to become.
        previous: SHA-256 of the log entry of the version before.
        fence: Fencing number of the lease under which it is made; 0 in a folder, whose locks have none.
    """
    facts = {"step": step, "engine": engine, "rows_added": added, "digest": str(digest), "version": version,
             "previous": previous}
    return facts | {"fence": fence} if fence else facts


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
    """Return what `commit_facts` made and the committer put into a commit; empty if the commit is not one of ours."""
    try:
        record = json.loads(text or "")["petrel"]
    except (ValueError, KeyError, TypeError):
        return {}
    return record if isinstance(record, dict) else {}
