"""Rows of the tables, made of items whose fate is settled."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from lakehouse.errors import RejectedInputError
from lakehouse.opinions.ids import content_opinion_id
from lakehouse.opinions.reading.answer import Answer, Region
from lakehouse.opinions.reading.check import stated_labels
from lakehouse.opinions.reading.packed import rows_of, unpacked, unpacked_record
from lakehouse.opinions.reading.region_columns import REGIONS
from lakehouse.steps.outputs import union_batch, union_schema
from lakehouse.steps.rejects import rejected_row
from lakehouse.tables.finish import finish_row
from schemas.canonical import Canonical, canonical_json, content_id
from schemas.opinions import VALUE_COLUMNS
from schemas.tables import OPINIONS, PARKED_OPINIONS, REJECTED, Table

OUTPUTS = union_schema(OPINIONS, REJECTED, PARKED_OPINIONS)

ID_COLUMNS: dict[str, pa.DataType] = {"part": pa.int64(), "line": pa.int64(), "opinion_id": pa.string()}
IDS = pa.schema(list(ID_COLUMNS.items()))

REASONS = {
    "ambiguous": (
        "ambiguous_repeat",
        "equals an earlier row in everything and has neither id nor time; say what such rows are: "
        "repeat = event, duplicate or votes (--repeat)",
    ),
    "contradicting": (
        "duplicate_subject",
        "is another answer about what the import has an answer about before, and neither corrects the other: this one "
        "is not read; remove one of them, or import them one after the other",
    ),
    "changed": (
        "changed_without_version",
        "has the id and version of another answer and says something else; the source must give edits a new version "
        "(where silver.batches has an older importer_version for that one, it may say the same: hashes changed)",
    ),
}
"""Fate of a row -> rule and reason of its rejection."""


@dataclass(frozen=True, slots=True)
class RowPlan:
    """What making rows needs to know.

    Attributes:
        source: Name of the opinion source.
        batch_id: The import.
        ordinal: Place of the import among all.
        rule_json: How its subjects are found.
        repeat: What repeated rows are.
        now: Time of the import.
    """

    source: str
    batch_id: str
    ordinal: int
    rule_json: str
    repeat: str
    now: datetime


def opinion_ids(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the id of every placed answer: the source's, else of its content."""
    for batch in batches:
        rows = [
            {"part": row["part"], "line": row["line"], "opinion_id": _opinion_id(row)}
            for row in batch.to_pylist()
        ]
        yield pa.RecordBatch.from_pylist(rows, schema=IDS)


def table_rows(batches: Iterator[pa.RecordBatch], *, plan: RowPlan) -> Iterator[pa.RecordBatch]:
    """Yield rows of silver.opinions, silver.rejected and silver.parked_opinions, tagged with their table."""
    for batch in batches:
        rows = rows_of(batch, read=_needs_regions)
        made = union_batch((_finished(row, plan) for row in rows), OUTPUTS)
        # The regions of new opinions are in a column already.
        kept = pa.array([place if row["fate"] == "new" else None for place, row in enumerate(rows)], pa.int64())
        place = OUTPUTS.get_field_index("regions")
        yield made.set_column(place, OUTPUTS.field(place), batch.column("regions").take(kept).cast(REGIONS))


def _needs_regions(row: Mapping[str, object]) -> bool:
    # Labels with a probability are in `labels` as well: those of the regions alone are wanted.
    return row["fate"] != "new" or '"probs"' in str(row["answer"])


def opinion_row(answer: Answer, *, subject_id: str, opinion_id: str, supersedes: list[str]) -> dict[str, object]:
    """Return the row of silver.opinions without hash and clock columns, except `value_hash`."""
    row: dict[str, object] = {
        name: getattr(answer, name)
        for name in (
            "op", "actor_id", "question_id", "question_version", "subject_kind", "slot", "value_kind", "value_ref",
            "confidence", "votes", "event_time", "event_time_source", "source_key", "target_opinion_id", "reason",
            "raw_json",
        )
    }
    row |= {
        "opinion_id": opinion_id,
        "subject_id": subject_id,
        "frame_w": answer.frame.width,
        "frame_h": answer.frame.height,
        "exif_orientation": answer.frame.exif_orientation,
        "supersedes": sorted({*answer.supersedes, *supersedes}) or None,
        "probs": None if answer.probs is None else dict(answer.probs),
        "ext": dict(answer.ext) or None,
    }
    column = VALUE_COLUMNS[answer.value_kind]
    if column is not None and column != "value_ref":
        row[column] = _column_value(answer)
    if answer.value_kind in ("regions", "spans"):
        row["labels"] = stated_labels(dataclasses.replace(answer, probs=None))
    return row


def _opinion_id(row: Mapping[str, object]) -> str:
    made = str(row["identity"] or _content_id(row))
    before = row["taken_back"]
    # What an import brought that was taken back is another event when it is said again.
    return content_id([made, sorted(before)]) if isinstance(before, list) and before else made


def _content_id(row: Mapping[str, object]) -> str:
    said = str(row["value_hash"])
    replaced = row["replaced"]
    if isinstance(replaced, list) and replaced:
        # The same words said again after others (A, B, A) are another event.
        said = content_id([said, sorted(replaced)])
    answer = Answer(
        actor_id=str(row["actor_id"]),
        question_id=str(row["question_id"]),
        question_version=int(str(row["question_version"])),
        subject_key="",
        slot=str(row["slot"]),
        event_time=row["event_time"] if isinstance(row["event_time"], datetime) else None,
    )
    return content_opinion_id(
        answer, subject_id=str(row["subject_id"]), hashed=said, ordinal=int(str(row["repeat_no"])) - 1
    )


def _finished(row: Mapping[str, object], plan: RowPlan) -> tuple[Table, dict[str, object]]:
    if row["fate"] == "new":
        return OPINIONS, _opinion(row, plan)
    if row["fate"] == "unmatched":
        return PARKED_OPINIONS, _parked(row, plan)
    rule, reason = REASONS.get(str(row["fate"]), (str(row["rule"]), str(row["reason"])))
    location = str(row["location"])
    raw = row["raw"]
    if raw is None and row["answer"] is not None:
        raw = json.dumps(unpacked_record(row), ensure_ascii=False)
    rejected = rejected_row(
        "opinions", f"{plan.source}/{location}", RejectedInputError(rule, reason),
        source=plan.source, location=location, raw=None if raw is None else str(raw),
    )
    return REJECTED, finish_row(rejected, REJECTED, plan.now)


def _opinion(row: Mapping[str, object], plan: RowPlan) -> dict[str, object]:
    earlier = row["superseded"] if isinstance(row["superseded"], list) else []
    before = [] if row["previous_id"] is None else [str(row["previous_id"])]
    answer = unpacked(row)
    made = opinion_row(
        answer,
        subject_id=str(row["subject_id"]),
        opinion_id=str(row["opinion_id"]),
        supersedes=[*earlier, *before],
    )
    if row["said"] is not None:
        made["regions"] = Canonical(str(row["said"]))
        if answer.value is None:
            made["labels"] = row["labels"]
    made["value_hash"] = row["value_hash"]
    made["batch_id"] = plan.batch_id
    made["ingest_seq"] = (plan.ordinal << 32) | int(str(row["place"]))
    return finish_row(made, OPINIONS, plan.now) | {"regions": None}


def _parked(row: Mapping[str, object], plan: RowPlan) -> dict[str, object]:
    waiting = {
        "answer": unpacked_record(row),
        "identity": row["identity"],
        "repeat": plan.repeat,
    }
    several = int(str(row["candidates"] or 0))
    parked = {
        "parked_id": content_id([plan.batch_id, waiting, row["repeat_no"]]),
        "status": "parked",
        "batch_id": plan.batch_id,
        "source": plan.source,
        "subject_key": row["subject_key"],
        "subject_rule_json": plan.rule_json,
        "reason": f"ambiguous: {several} entities fit, as {row['fitting']}" if several > 1
        else "unknown: nothing of that name",
        "location": row["location"],
        "answer_json": canonical_json(waiting),
        "ordinal": (plan.ordinal << 32) | int(str(row["place"])),
    }
    return finish_row(parked, PARKED_OPINIONS, plan.now)


def _column_value(answer: Answer) -> object:
    value = answer.value
    if answer.value_kind in ("regions", "spans") and isinstance(value, tuple):
        return [region.record() for region in value if isinstance(region, Region)]
    if isinstance(value, bool):
        return float(value)
    return list(value) if isinstance(value, tuple) else value
