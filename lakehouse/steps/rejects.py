"""Rows of silver.rejected: one input that did not pass."""

from __future__ import annotations

from lakehouse.errors import RejectedInputError
from schemas.canonical import content_id

RAW_CHARACTERS = 10_000

RULES = """
select rule, count(*) as n, min(location) as example, min_by(reason, location) as reason
from outputs where target_table = 'silver.rejected' group by rule order by rule
"""
"""What was rejected, by rule, of the outputs of a step."""


def rejected_row(
    step: str,
    subject: str,
    error: RejectedInputError,
    *,
    source: str | None = None,
    location: str | None = None,
    raw: str | None = None,
    judged_by: str | None = None,
) -> dict[str, object]:
    """Return a row of silver.rejected, without clock columns and hash.

    Args:
        step: Step that rejected the input.
        subject: What was rejected: a landed_id, an entity_id, or file:line.
        error: Rule and reason.
        source: Name of the source, if it belongs to one.
        location: URI, file or line.
        raw: The input's own text; cut at 10,000 characters.
        judged_by: What the verdict rests on; see silver.rejected.
    """
    named = [step, subject, error.rule, error.reason]
    return {
        "rejected_id": content_id(named if judged_by is None else [*named, judged_by]),
        "step": step,
        "subject": subject,
        "rule": error.rule,
        "reason": error.reason,
        "judged_by": judged_by,
        "source": source,
        "location": location,
        "raw": None if raw is None else raw[:RAW_CHARACTERS],
    }
