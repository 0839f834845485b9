"""Writing JSON lines: the format that loses nothing. What is read back are the same opinions, under the same ids."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lakehouse.opinions.formats.losing import Loss
from lakehouse.opinions.formats.writer import Ontology, Place, Said, Writer
from lakehouse.opinions.reading.answer import Answer, Region
from schemas.opinions import VALUE_COLUMNS

TEXTS = (
    "slot", "op", "value_ref", "source_key", "source_version", "target_opinion_id", "reason", "raw_json", "opinion_id",
)
OTHERS = ("probs", "confidence", "votes", "supersedes", "ext")
UNSTATED = {"slot": "", "op": "assert", "votes": 1, "supersedes": (), "ext": {}}


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonlWriting:
    """Options of writing JSON lines.

    Attributes:
        ids: Whether lines carry the ids of the opinions: read back into any lake they are the same opinions. Without
            them they are told by what they say.
        raw: Whether lines carry the source's own record.
        names: Whether the subject is its path in its source; else its entity id, which every lake knows it by.
    """

    ids: bool = True
    raw: bool = True
    names: bool = False


def lost_in_jsonl(_said: Said, _options: JsonlWriting) -> Iterator[Loss]:
    """Yield nothing: every column has its key."""
    yield from ()


def write_jsonl(said: Iterable[Said], place: Place, _ontology: Ontology, options: JsonlWriting) -> None:
    """Write one line for each answer."""
    place.write("", (_line(each, options) for each in said))


def line_record(answer: Answer, subject: str, options: JsonlWriting) -> dict[str, object]:
    """Return the keys of a line, those that state nothing left out; `jsonl.answer_from` reads it back.

    Args:
        answer: The answer.
        subject: How the line names what it is about.
        options: What it carries.
    """
    record: dict[str, object] = {
        "subject_id": subject,
        "actor_id": answer.actor_id,
        "question_id": answer.question_id,
        "question_version": answer.question_version,
        "subject_kind": answer.subject_kind,
    }
    if answer.event_time is not None:
        record |= {"event_time": answer.event_time.isoformat(), "event_time_source": answer.event_time_source}
    record |= _value(answer)
    for name, number in zip(
        ("frame_w", "frame_h", "exif_orientation"),
        (answer.frame.width, answer.frame.height, answer.frame.exif_orientation),
        strict=True,
    ):
        if number is not None:
            record[name] = number
    for name in (*TEXTS, *OTHERS):
        value = getattr(answer, name)
        if value is not None and value != UNSTATED.get(name):
            record[name] = list(value) if isinstance(value, tuple) else value
    if not options.ids:
        record.pop("opinion_id", None)
    if not options.raw:
        record.pop("raw_json", None)
    return record


def _value(answer: Answer) -> dict[str, object]:
    value, kind = answer.value, answer.value_kind
    if VALUE_COLUMNS[kind] is None:
        return {}
    if kind == "embedding":
        return {"value_kind": kind}
    if value is None:
        # Its value lies elsewhere (`value_ref`).
        return {"value_kind": kind}
    if isinstance(value, tuple):
        return {kind: [each.record() if isinstance(each, Region) else each for each in value]}
    return {kind: value}


def _line(said: Said, options: JsonlWriting) -> bytes:
    subject = said.subject.name if options.names else said.subject.entity_id
    record = line_record(said.answer, subject, options)
    return (json.dumps(record, ensure_ascii=False, default=dict) + "\n").encode()


JSONL_WRITER = Writer(
    JsonlWriting, tuple(VALUE_COLUMNS), lost_in_jsonl, write_jsonl, one_each=False, abstains=True, several=True,
    as_said=True,
)
