"""Ids of opinions: made of what was said, never of the batch, the path, the time of import or the importer."""

from __future__ import annotations

from lakehouse.opinions.reading.answer import Answer, Region
from lakehouse.opinions.reading.canonical_region import canonical_region
from schemas.canonical import canonical_json, content_id


def value_hash(answer: Answer) -> str:
    """Return the content id of all that was said, 32 hex digits.

    Regions count as a set: their order in a file is no content. Not part of it: who, about what, when, what follows
    from their geometry (`canonical_region`), and how their picture was turned when they were drawn: they are kept on
    the stored one.
    """
    return content_id(
        {
            "op": answer.op,
            "value_kind": answer.value_kind,
            "value": _value(answer),
            "value_ref": answer.value_ref,
            "probs": answer.probs,
            "confidence": answer.confidence,
            "votes": answer.votes,
            "frame": [answer.frame.width, answer.frame.height, None],
            "target": answer.target_opinion_id,
            "supersedes": sorted(answer.supersedes),
            "reason": answer.reason,
        }
    )


def source_opinion_id(answer: Answer, *, system: str, project: str) -> str:
    """Return the id of an opinion that its source system has an id for.

    Args:
        answer: Must have a `source_key`; without a `source_version` its event time stands in.
        system: Instance of the source system.
        project: Project in that system, "" for none.

    Raises:
        ValueError: If the answer has no `source_key`.
    """
    if answer.source_key is None:
        raise ValueError(f"{answer.where}: has no id in its source system")
    version = answer.source_version if answer.source_version is not None else answer.event_time
    return content_id([system, project, answer.source_key, answer.question_id, version])


def content_opinion_id(answer: Answer, *, subject_id: str, hashed: str, ordinal: int) -> str:
    """Return the id of an opinion that has no id in its source.

    Args:
        answer: What was said.
        subject_id: Entity that it is about.
        hashed: `value_hash(answer)`.
        ordinal: How many rows equal in everything came before this one.
    """
    return content_id(
        [
            answer.actor_id,
            answer.question_id,
            answer.question_version,
            subject_id,
            answer.slot,
            answer.event_time,
            hashed,
            ordinal,
        ]
    )


def _value(answer: Answer) -> object:
    if answer.value_kind in ("regions", "spans") and isinstance(answer.value, tuple):
        regions = (each for each in answer.value if isinstance(each, Region))
        return sorted(canonical_json(canonical_region(each, answer.frame)) for each in regions)
    if answer.value_kind == "labels" and isinstance(answer.value, tuple):
        return sorted(str(label) for label in answer.value)
    return answer.value
