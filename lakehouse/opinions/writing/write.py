"""The one way from items to tables, for imports, predictions and parked answers alike."""

from __future__ import annotations

import functools
import logging
from contextlib import AbstractContextManager
from dataclasses import dataclass

from lakehouse.engines import Relation
from lakehouse.errors import IngestError
from lakehouse.lake import Lake
from lakehouse.opinions.actors import Actor, actor_from, actor_rows
from lakehouse.opinions.matching.names import hint_of
from lakehouse.opinions.matching.outcome import CARRIED, settle
from lakehouse.opinions.matching.subjects import SubjectRule
from lakehouse.opinions.matching.waiting import without_waiting
from lakehouse.opinions.questions import Question, QuestionKey, question_rows
from lakehouse.opinions.remarks import tell_fates, tell_labels, tell_names, tell_notes
from lakehouse.opinions.writing.batch import Batch, Content, batch_row
from lakehouse.opinions.writing.rows import OUTPUTS, RowPlan, table_rows
from lakehouse.query import fetch, query
from lakehouse.steps.outputs import insert_outputs
from lakehouse.steps.step import StepRecord, balance
from lakehouse.tables.insert import insert_rows
from lakehouse.tables.inserted import Inserted
from lakehouse.tables.locks import Held, lake_lock
from schemas.tables import ACTORS, BATCHES, LABEL_SETS, OPINIONS, PARKED_OPINIONS, QUESTIONS, REJECTED

logger = logging.getLogger(__name__)

ROWS_PER_TASK = 5_000
COUNTS = ("read", "new", "same", "rejected", "unmatched")

REJECTED_FATES = ("reject", "ambiguous", "contradicting", "changed")

CARRIED_ON = f"""
select s.*, i.labels, {", ".join(f"i.{name}" for name in CARRIED)}
from settled s join items i on i.part = s.part and i.line = s.line where s.fate <> 'same'
"""
"""What becomes rows, with what was said."""


@dataclass(frozen=True, slots=True)
class Import:
    """What an import is told beside its items.

    Attributes:
        content: What it is made of.
        batch: Its id and place.
        rule: How its subjects are found.
        repeat: What equal rows are.
        asked: Question of the source; None if only records name questions.
        actors: Actors whose details are known; others are registered by their id.
        max_rejected_share: Above it nothing is written.
        new_question: Whether a question may be new that looks like a slip of one that is known.
        one_each: See `Format.one_each`.
    """

    content: Content
    batch: Batch
    rule: SubjectRule
    repeat: str
    asked: Question | None
    actors: tuple[Actor, ...]
    max_rejected_share: float
    new_question: bool = True
    one_each: bool = False


def import_lock(lake: Lake) -> AbstractContextManager[Held]:
    """Hold it from looking what is known until the batch is written: imports go one after the other."""
    return lake_lock(lake, "opinions")


def absorb(lake: Lake, items: Relation, job: Import, record: StepRecord) -> None:
    """Write the opinions, rejections, parked answers and the batch that `items` make; fills `record`.

    The batch is written last: an import that was killed is done again, and adds what is missing.

    Raises:
        IngestError: If too many rows are rejected; nothing was written.
        CheckFailedError: If the counts do not balance.
    """
    read = _count(lake, items, "kind in ('answer', 'reject')")
    found = settle(lake, items, job.rule, repeat=job.repeat, one_each=job.one_each)
    settled = found.fates
    tell_notes(lake, settled, record)
    fates = _fates(lake, settled)
    rejected = sum(fates.get(fate, 0) for fate in REJECTED_FATES)
    news = without_waiting(lake, settled, job.rule) if fates.get("unmatched") else settled
    outputs = table_outputs(lake, news, found.items, job.content.source, job.batch, job.rule, job.repeat)
    _refuse_many(lake, outputs, rejected, read, job)
    record.writes += _register(lake, items, settled, job, record)
    written = insert_outputs(lake, outputs, (REJECTED, PARKED_OPINIONS, OPINIONS), step="opinions")
    record.writes += written.values()
    new = batch_opinions(lake, job.batch)
    same = fates.get("new", 0) + fates.get("same", 0) - new
    record.counts = dict(
        zip(COUNTS, (read, new, same, rejected, fates.get("unmatched", 0)), strict=True)
    )
    balance("opinions", "rows read", {name: record.counts[name] for name in COUNTS[1:]}, read)
    # An import that says only what is known leaves no trace, so that doing it again adds no row anywhere.
    effect = any(write.rows_new for write in written.values()) or (not job.batch.known and read > same)
    if effect:
        row = batch_row(job.content, job.batch, record.counts)
        record.writes.append(insert_rows(lake, BATCHES, [row], step="opinions"))
    tell_fates(lake, settled, record)
    if fates.get("unmatched"):
        record.details["unmatched"] = _example(lake, settled, job.rule)


def table_outputs(
    lake: Lake, settled: Relation, items: Relation, source: str, batch: Batch, rule: SubjectRule, repeat: str
) -> Relation:
    """Return the rows that settled items make, for the tables of `OUTPUTS`."""
    plan = RowPlan(source, batch.batch_id, batch.ordinal, rule.to_json(), repeat, lake.clock())
    return lake.engine.map_batches(
        query(lake, CARRIED_ON, inputs={"settled": settled, "items": items}),
        functools.partial(table_rows, plan=plan),
        OUTPUTS,
        rows_per_task=ROWS_PER_TASK,
        label="opinions",
    )


def batch_opinions(lake: Lake, batch: Batch) -> int:
    """Return how many opinions a batch has brought, those of an import that was killed included."""
    text = "select count(*) as n from silver.opinions where batch_id = $batch"
    return int(fetch(lake, text, params={"batch": batch.batch_id})[0]["n"])


def _register(lake: Lake, items: Relation, settled: Relation, job: Import, record: StepRecord) -> list[Inserted]:
    # A rejected answer teaches nothing: its label would take a class number for ever.
    taken = f"""
        select question_id, question_version, value_kind, labels, actor_id from items i where kind = 'answer' and
        not exists (select 1 from settled s where s.part = i.part and s.line = i.line and s.fate in {REJECTED_FATES})
    """
    answers = {"taken": lake.engine.stage(query(lake, taken, inputs={"items": items, "settled": settled}))}
    kinds: dict[QuestionKey, set[str]] = {}
    for row in fetch(
        lake,
        "select distinct question_id, question_version, value_kind from taken",
        inputs=answers,
    ):
        kinds.setdefault((row["question_id"], row["question_version"]), set()).add(row["value_kind"])
    labels: dict[QuestionKey, set[str]] = {}
    for row in fetch(
        lake,
        "select distinct question_id, question_version, label from ("
        "select question_id, question_version, unnest(labels) as label from taken) stated",
        inputs=answers,
    ):
        labels.setdefault((row["question_id"], row["question_version"]), set()).add(row["label"])
    tell_labels(lake, job.asked, labels, kinds, record)
    ids = fetch(lake, "select distinct actor_id from taken", inputs=answers)
    known = {actor.actor_id: actor for actor in job.actors}
    named = sorted({row["actor_id"] for row in ids} | set(known))
    actors = [known.get(actor_id) or actor_from(actor_id) for actor_id in named]
    new = {name for name, _ in kinds} | ({job.asked.question_id} if job.asked else set())
    tell_names(lake, new, named, record, create=job.new_question)
    # All rows before the first write: what contradicts the lake is refused whole.
    questions, entries = question_rows(lake, job.asked, kinds, labels)
    rows = ((ACTORS, actor_rows(lake, actors)), (LABEL_SETS, entries), (QUESTIONS, questions))
    return [insert_rows(lake, table, new, step="opinions") for table, new in rows if new]


def _fates(lake: Lake, settled: Relation) -> dict[str, int]:
    rows = fetch(lake, "select fate, count(*) as n from settled group by fate", inputs={"settled": settled})
    return {row["fate"]: int(row["n"]) for row in rows}


def _count(lake: Lake, rows: Relation, condition: str) -> int:
    return int(fetch(lake, f"select count(*) as n from mine where {condition}", inputs={"mine": rows})[0]["n"])


def _refuse_many(lake: Lake, outputs: Relation, rejected: int, read: int, job: Import) -> None:
    if rejected <= job.max_rejected_share * read:
        return
    first = fetch(
        lake,
        # The shorter first: line 9 stands before line 10.
        "select location, rule, reason from outputs where target_table = $table "
        "order by length(location), location limit 3",
        inputs={"outputs": outputs},
        params={"table": REJECTED.name},
    )
    shown = "; ".join(f"{row['location']}: {row['rule']}: {row['reason']}" for row in first)
    raise IngestError(
        f"opinions {job.content.source}: {rejected:,} of {read:,} rows do not pass, more than the share of "
        f"{job.max_rejected_share:g} that may; nothing was written. First: {shown}. Mend the file or its options, "
        "or allow more: --option max_rejected_share=0.5"
    )


def _example(lake: Lake, settled: Relation, rule: SubjectRule) -> str:
    row = fetch(
        lake,
        "select subject_key, candidates, fitting from settled where fate = 'unmatched' order by part, line limit 1",
        inputs={"settled": settled},
    )[0]
    if row["candidates"]:
        why = f"{row['candidates']} entities fit, as {row['fitting']}: name their folder as well, or one source"
    else:
        why = f"nothing of that name{hint_of(lake, rule, row['subject_key'])}"
    return f"for example {row['subject_key']!r} ({why})"
