"""Reading a source into rows: what it says, checked and hashed, before anybody asks which entity it is about."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path

import pyarrow as pa

from lakehouse.errors import RejectedInputError
from lakehouse.opinions.formats import format_named, format_options
from lakehouse.opinions.formats.common import reject
from lakehouse.opinions.formats.format import WHOLE, Piece
from lakehouse.opinions.ids import source_opinion_id
from lakehouse.opinions.matching.subjects import asked_of, key_forms, key_kind
from lakehouse.opinions.questions import QuestionKey, Rules
from lakehouse.opinions.reading.answer import Answer, Item, Note, Reject, Tally
from lakehouse.opinions.reading.check import checked, stated_labels
from lakehouse.opinions.reading.label_text import MISSING
from lakehouse.opinions.reading.packed import PACKED, batch_of, packed
from schemas.model import TIMESTAMP

PART_COLUMNS: dict[str, pa.DataType] = {
    "part": pa.int64(), "file": pa.string(), "piece": pa.int64(), "pieces": pa.int64(),
}  # fmt: skip
PARTS = pa.schema(list(PART_COLUMNS.items()))
"""Files of a source, in order; "" is the path itself. A large one may be there piece by piece."""

LINES_PER_PIECE = 1 << 40
"""Items of a piece have numbers (`line`) from here on times its own: so all are in the order of the file."""

TEXT = pa.string()
ITEM_COLUMNS: dict[str, pa.DataType] = {
    "kind": TEXT,  # answer, reject, note or tally
    "part": pa.int64(), "line": pa.int64(),  # place in the source
    "location": TEXT, "rule": TEXT, "reason": TEXT, "raw": TEXT,
    "subject_key": TEXT, "key_kind": TEXT, "forms": pa.list_(TEXT),
    "folders": TEXT, "asked": TEXT,  # one folder a line; what answers about one subject have in common
    "actor_id": TEXT, "question_id": TEXT, "question_version": pa.int32(),
    "slot": TEXT, "base_slot": TEXT,  # of answers that stand beside others: the slot before they were told apart
    "op": TEXT, "value_kind": TEXT, "labels": pa.list_(TEXT),
    "event_time": TIMESTAMP, "event_time_source": TEXT, "votes": pa.int64(),
    "identity": TEXT, "source_key": TEXT,
    **PACKED,
    "fits_w": pa.int32(), "fits_h": pa.int32(),  # the picture in which its regions lie as they stand, px; see `_fits`
    "notes": pa.list_(TEXT),  # "rule: text", of kind note and of answers
}
ITEMS = pa.schema(list(ITEM_COLUMNS.items()))
"""One record of a source. `identity` is the id of the opinion where the source has ids, else NULL."""

ROWS_PER_BATCH = 10_000


@dataclass(frozen=True, slots=True)
class ReadPlan:
    """What reading needs to know.

    Attributes:
        rules: Rules of the questions that are known.
        now: Time of the import.
        match: How subjects are named; see `SubjectRule`.
        valid_time: When undated answers were said; None if nobody knows.
        system: Instance of the system that ids of the source belong to.
        project: Project in it.
        pooled: Whether equal rows are votes of one pool; then each label is a slot of its own.
        format: Format of the files; "" where answers come from memory.
        path: File or folder.
        options: Options of the format.
        missing: Labels that mean that there is none.
    """

    rules: Mapping[QuestionKey, Rules]
    now: datetime
    match: str = "auto"
    valid_time: datetime | None = None
    system: str = ""
    project: str = ""
    pooled: bool = False
    format: str = ""
    path: str = ""
    options: Mapping[str, object] = field(default_factory=dict)
    missing: tuple[str, ...] = MISSING


def read_parts(batches: Iterator[pa.RecordBatch], *, plan: ReadPlan) -> Iterator[pa.RecordBatch]:
    """Read the files of `PARTS` rows and yield `ITEMS`."""
    chosen, path = format_named(plan.format), Path(plan.path)
    options = format_options(plan.format, plan.options)
    for batch in batches:
        for part in batch.to_pylist():
            piece = Piece(part["piece"], part["pieces"])
            if piece == WHOLE or chosen.read_piece is None:
                items = chosen.read(path, part["file"], options)
            else:
                items = chosen.read_piece(path, part["file"], options, piece)
            yield from item_batches(items, plan, part=part["part"], after=piece.number * LINES_PER_PIECE)


def item_batches(items: Iterable[Item], plan: ReadPlan, *, part: int = 0, after: int = 0) -> Iterator[pa.RecordBatch]:
    """Yield rows of `ITEMS`, some thousand at a time, numbered from the one that follows `after`."""
    rows = (_row(item, plan, part, line) for line, item in enumerate(items, start=after + 1))
    while chunk := list(islice(rows, ROWS_PER_BATCH)):
        yield batch_of(chunk, ITEMS)


def answer_row(answer: Answer, *, identity: str | None, match: str) -> dict[str, object]:
    """Return the columns of `ITEMS` that an answer fills."""
    kind = key_kind(answer.subject_key, match)
    return {
        "kind": "answer",
        "location": answer.where,
        "subject_key": answer.subject_key,
        "key_kind": kind,
        "forms": key_forms(answer.subject_key, kind),
        "folders": "\n".join(answer.folders) or None,
        "asked": asked_of(answer.subject_key, answer.folders),
        "actor_id": answer.actor_id,
        "question_id": answer.question_id,
        "question_version": answer.question_version,
        "slot": answer.slot,
        "base_slot": answer.slot if answer.stands_beside else None,
        "op": answer.op,
        "value_kind": answer.value_kind,
        "labels": stated_labels(answer),
        "event_time": answer.event_time,
        "event_time_source": answer.event_time_source,
        "votes": answer.votes,
        "identity": identity,
        "source_key": answer.source_key,
        **packed(answer),
        "notes": note_texts(answer.notes),
        **_fits(answer),
    }


def _fits(answer: Answer) -> dict[str, object]:
    """Return the picture in which the regions of an answer lie as they stand: the frame that it states, if they do.

    Whoever knows that the picture is of that size need not look at them.
    """
    frame, flags = answer.frame, answer.ext.get("flags", "").split()
    if answer.value_kind != "regions" or frame.relative or None in (frame.width, frame.height):
        return {}
    return {} if "outside_frame" in flags else {"fits_w": frame.width, "fits_h": frame.height}


def note_texts(notes: Mapping[str, str]) -> list[str] | None:
    """Return notes as the column `notes` holds them."""
    return [f"{rule}: {text}" for rule, text in notes.items()] or None


def reject_row(item: Reject) -> dict[str, object]:
    """Return the columns of `ITEMS` that a reject fills."""
    return {"kind": "reject", "location": item.where, "rule": item.rule, "reason": item.reason, "raw": item.raw}


def _row(item: Item, plan: ReadPlan, part: int, line: int) -> dict[str, object]:
    place: dict[str, object] = {"part": part, "line": line}
    if isinstance(item, Answer):
        try:
            answer = checked(_completed(item, plan), plan.rules, plan.now, missing=plan.missing)
            return place | answer_row(answer, identity=_identity(answer, plan), match=plan.match)
        except RejectedInputError as error:
            item = reject(item.where, error.rule, error.reason, item.raw_json)
    if isinstance(item, Note):
        return place | {"kind": "note", "location": item.where, "notes": note_texts({item.rule: item.text})}
    if isinstance(item, Tally):
        return place | {"kind": "tally", "raw": json.dumps(dict(item.counts))}
    return place | reject_row(item)


def _completed(answer: Answer, plan: ReadPlan) -> Answer:
    if answer.event_time is None and plan.valid_time is not None:
        answer = dataclasses.replace(answer, event_time=plan.valid_time, event_time_source="batch")
    if plan.pooled and not answer.slot and answer.value_kind == "label":
        answer = dataclasses.replace(answer, slot=str(answer.value))
    return answer


def _identity(answer: Answer, plan: ReadPlan) -> str | None:
    if answer.opinion_id is not None:
        return answer.opinion_id
    if answer.source_key is None:
        return None
    return source_opinion_id(answer, system=plan.system, project=plan.project)
