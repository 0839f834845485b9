"""retract: take a whole import, or single answers, back, by one retraction for every answer; append-only."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import re
from collections.abc import Iterator, Sequence
from datetime import datetime

import pyarrow as pa

from lakehouse.errors import IngestError
from lakehouse.lake import Lake
from lakehouse.opinions.ids import value_hash
from lakehouse.opinions.imports import SHORTEST_ID, Imported, imports_of
from lakehouse.opinions.matching.waiting import WAITING
from lakehouse.opinions.predictions import record_opinions
from lakehouse.opinions.reading.answer import Answer
from lakehouse.opinions.writing.batch import RETRACTION, Batch, Content, batch_row, next_ordinal
from lakehouse.opinions.writing.rows import opinion_row
from lakehouse.opinions.writing.write import batch_opinions, import_lock
from lakehouse.query import fetch, query
from lakehouse.steps.receipts import Receipt
from lakehouse.steps.step import StepRecord, balance, step
from lakehouse.tables.finish import finish_row
from lakehouse.tables.insert import insert, insert_rows
from schemas.canonical import canonical_json, content_id
from schemas.tables import BATCHES, OPINIONS, PARKED_OPINIONS

ROWS_PER_TASK = 10_000
COUNTS = ("answers", "taken_back", "no_longer_waiting", "same")

BROUGHT = """
select o.opinion_id, o.actor_id, o.question_id, o.question_version, o.subject_id, o.subject_kind, o.slot,
    row_number() over (order by o.ingest_seq, o.opinion_id) as place
from silver.opinions o
where o.batch_id = $batch and o.op <> 'retract' and not exists (
    select 1 from silver.opinions t where t.op = 'retract' and t.target_opinion_id = o.opinion_id
)
"""
"""Answers of an import that nobody has taken back."""

ANSWERS = """
select opinion_id, actor_id, question_id, question_version, subject_id, subject_kind, slot from silver.opinions
where op <> 'retract' and opinion_id like $prefix limit 2
"""

TAKEN_BACK = "select count(*) as n from silver.opinions where op = 'retract' and target_opinion_id = $target"

OPINION = re.compile(rf"[0-9a-f]{{{SHORTEST_ID},32}}")


def retract_import(lake: Lake, found: Imported, *, reason: str = "") -> Receipt:
    """Take back all that an import brought: as if it had never been said.

    What its answers had replaced holds again; answers that wait for their subject wait no longer. Its own
    retractions of other answers stay. Doing it twice adds nothing; one that was killed is completed by doing it
    again. Importing the files again says their answers again, as other events.

    Args:
        lake: The lake.
        found: The import; see `find_imports`.
        reason: Why, in words; kept with every retraction.

    Returns:
        Receipt with counts answers = taken_back + no_longer_waiting + same (had been taken back before).
    """
    with step(lake, "retract") as record:
        record.details |= {"import": found.batch_id, "source": found.source}
        if found.uri is not None:
            record.details["uri"] = found.uri
        with import_lock(lake):
            now = next(each for each in imports_of(lake) if each.batch_id == found.batch_id)
            _retract(lake, now, reason or "its import was taken back", record)
    return record.finished()


def retract_opinions(lake: Lake, opinion_ids: Sequence[str], *, reason: str) -> Receipt:
    """Take single answers back, in the name of who gave them: they say nothing any more about these subjects.

    What an answer had replaced does not hold again, other than with a whole import; a file that has it and comes again
    does not bring it back. Doing it twice adds nothing.

    Args:
        lake: The lake.
        opinion_ids: Ids of answers, or how they begin, from `SHORTEST_ID` characters on.
        reason: Why, in words; kept with every retraction.

    Returns:
        Receipt of `record_opinions`: counts read = new + same.

    Raises:
        IngestError: If an id is that of no answer, or of several.
    """
    rows = [_taken_back(lake, each, reason) for each in dict.fromkeys(opinion_ids)]
    # What is taken back stays so, by whatever retraction and for whatever reason.
    news = [
        row for row in rows if not fetch(lake, TAKEN_BACK, params={"target": str(row["target_opinion_id"])})[0]["n"]
    ]
    receipt = record_opinions(lake, news, source="retracted")
    before = len(rows) - len(news)
    return dataclasses.replace(
        receipt, counts={name: n + before * (name in ("read", "same")) for name, n in receipt.counts.items()}
    )


def _taken_back(lake: Lake, wanted: str, reason: str) -> dict[str, object]:
    found = fetch(lake, ANSWERS, params={"prefix": f"{wanted}%"}) if OPINION.fullmatch(wanted) else []
    if len(found) != 1:
        what = f"{len(found)} answers" if found else "no answer"
        raise IngestError(
            f"{what} with an id that begins with {wanted!a:.80}; `petrel why ENTITY` shows the ids, "
            f"{SHORTEST_ID} hex digits or more name one"
        )
    row = found[0]
    return {
        "op": "retract", "subject": row["subject_id"], "subject_kind": row["subject_kind"],
        "actor_id": row["actor_id"], "question_id": row["question_id"], "question_version": row["question_version"],
        "slot": row["slot"], "target_opinion_id": row["opinion_id"], "reason": reason or "it was taken back",
    }  # fmt: skip


def retraction_rows(
    batches: Iterator[pa.RecordBatch], *, batch: Batch, taken_back: str, reason: str, now: datetime
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of silver.opinions that take the given ones back."""
    for given in batches:
        rows = [_retraction(row, batch, taken_back, reason, now) for row in given.to_pylist()]
        yield pa.RecordBatch.from_pylist(rows, schema=OPINIONS.arrow_schema)


def ended_rows(batches: Iterator[pa.RecordBatch], *, now: datetime) -> Iterator[pa.RecordBatch]:
    """Yield the rows of silver.parked_opinions that end the waiting."""
    for given in batches:
        rows = [
            finish_row({**row, "status": "taken_back", "ingest_time": now}, PARKED_OPINIONS, now)
            for row in given.to_pylist()
        ]
        yield pa.RecordBatch.from_pylist(rows, schema=PARKED_OPINIONS.arrow_schema)


def _retract(lake: Lake, found: Imported, reason: str, record: StepRecord) -> None:
    taken = content_id([RETRACTION, found.batch_id])
    batch = Batch(taken, next_ordinal(lake), known=False)
    params = {"batch": found.batch_id}
    parked = lake.engine.map_batches(
        query(lake, f"{WAITING} and p.batch_id = $batch", params=params),
        functools.partial(ended_rows, now=lake.clock()),
        PARKED_OPINIONS.arrow_schema,
        rows_per_task=ROWS_PER_TASK,
        label="no longer waiting",
    )
    make = functools.partial(
        retraction_rows, batch=batch, taken_back=found.batch_id, reason=reason, now=lake.clock()
    )
    events = lake.engine.map_batches(
        query(lake, BROUGHT, params=params), make, OPINIONS.arrow_schema, rows_per_task=ROWS_PER_TASK, label="retract"
    )
    # First what waits: it must not become an opinion of this import while its opinions are taken back.
    ended = insert(lake, PARKED_OPINIONS, parked, step="retract")
    written = insert(lake, OPINIONS, events, step="retract")
    record.writes += [ended, written]
    same = found.opinions + found.waiting - written.rows_new - ended.rows_new
    record.counts = dict(
        zip(COUNTS, (found.opinions + found.waiting, written.rows_new, ended.rows_new, same), strict=True)
    )
    balance("retract", "answers", {name: record.counts[name] for name in COUNTS[1:]}, record.counts["answers"])
    if found.retractions:
        record.note("retractions_stay", "retractions that this import had brought itself stay", count=found.retractions)
    events_of_batch = batch_opinions(lake, batch)
    if written.rows_new or ended.rows_new or (events_of_batch and not _told(lake, taken)):
        counts = {"read": events_of_batch, "new": events_of_batch, "same": 0, "rejected": 0, "unmatched": 0}
        row = batch_row(_content(found, reason), batch, counts)
        record.writes.append(insert_rows(lake, BATCHES, [row], step="retract"))


def _told(lake: Lake, batch_id: str) -> bool:
    rows = fetch(lake, "select count(*) as n from silver.batches where batch_id = $batch", params={"batch": batch_id})
    return bool(rows[0]["n"])


def _content(found: Imported, reason: str) -> Content:
    return Content(
        source=found.source,
        system="",
        format=RETRACTION,
        sha256=hashlib.sha256(found.batch_id.encode()).hexdigest(),
        options_json=canonical_json({"reason": reason, "taken_back": found.batch_id}),
        valid_time=None,
        uri=None,
    )


def _retraction(
    row: dict[str, object], batch: Batch, taken_back: str, reason: str, now: datetime
) -> dict[str, object]:
    target = str(row["opinion_id"])
    answer = Answer(
        op="retract",
        value_kind="none",
        actor_id=str(row["actor_id"]),
        question_id=str(row["question_id"]),
        question_version=int(str(row["question_version"])),
        subject_key="",
        subject_kind=str(row["subject_kind"]),
        slot=str(row["slot"]),
        event_time_source="unknown",
        target_opinion_id=target,
        reason=reason,
        ext={"taken_back": taken_back},
    )
    made = opinion_row(
        answer, subject_id=str(row["subject_id"]), opinion_id=content_id([RETRACTION, target]), supersedes=[]
    )
    made["value_hash"] = value_hash(answer)
    made["batch_id"] = batch.batch_id
    made["ingest_seq"] = (batch.ordinal << 32) | int(str(row["place"]))
    return finish_row(made, OPINIONS, now)
