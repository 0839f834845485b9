"""Answers in a program's memory become opinions, without files and without a JVM: of a model, of an annotation server.

The same way, ids and checks as an import of JSON lines: what came by one way and comes again by the other adds nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

import pyarrow as pa

from lakehouse.errors import ConfigError, RejectedInputError
from lakehouse.lake import Lake
from lakehouse.names import nearest
from lakehouse.opinions.actors import Actor, actor_from
from lakehouse.opinions.formats.common import reject
from lakehouse.opinions.formats.jsonl import JsonlOptions, answer_from
from lakehouse.opinions.matching.landed import check_landed
from lakehouse.opinions.matching.subjects import SubjectRule
from lakehouse.opinions.questions import Question, rules_of
from lakehouse.opinions.reading.answer import Item
from lakehouse.opinions.reading.answer_rows import ITEMS, ReadPlan, item_batches
from lakehouse.opinions.words import MATCHES
from lakehouse.opinions.writing.batch import Content, next_batch
from lakehouse.opinions.writing.write import Import, absorb, import_lock
from lakehouse.steps.receipts import Receipt
from lakehouse.steps.step import step
from schemas.canonical import canonical_json

NAMES = {"entity_id": "subject", "probabilities": "probs"}
RECORDS = "records"


def record_opinions(
    lake: Lake,
    rows: pa.Table | Iterable[Mapping[str, object]],
    *,
    source: str,
    question: str | Question | None = None,
    actor: str | Actor | None = None,
    said_at: datetime | None = None,
    inputs: Mapping[str, str] | None = None,
    match: str = "sha256",
    landed_source: str = "",
    system: str = "",
    project: str = "",
    max_rejected_share: float = 0.0,
) -> Receipt:
    """Write answers that are in memory: a model's predictions, what came to an annotation server.

    Recording the same answers again, or importing them as JSON lines before or after, adds nothing; an actor's other
    answer to the same supersedes the first, or, with a time, follows it.

    Args:
        lake: The lake.
        rows: One mapping or Arrow row per answer: `entity_id`, then `label` and/or `probabilities`
            (label -> 0..1, sum 1 within 0.01; without a label the most probable one is the answer), or any
            other field of a JSON line (`regions`, `number`, `op`, `event_time`, `source_key` ...). NumPy scalars are
            welcome, and times, UTC where they name no zone.
        source: Stable name of where the answers are from, for example "digits_cnn".
        question: Question of rows that name none: its id, or a `Question` to register. An id that is new and looks
            like a slip of a known one is refused. None: every row names its own.
        actor: Who answers in rows that name nobody: `model:name@version`, or an `Actor` with the details. None: every
            row names its own.
        said_at: When rows without a time were said; None leaves it open, which makes a repeated run write equal rows.
        inputs: What the answers were made from (dataset id, opinion ids), kept with the batch.
        match: How rows name their subject: `sha256`, the entity id; else as an import does (`OpinionSource.match`).
        landed_source: Landed source whose files are meant, where they are named otherwise; "" looks in all.
        system: Instance of the system that ids in the rows (`source_key`) belong to.
        project: Project in that system.
        max_rejected_share: Above it nothing is written; by default one bad row is enough.

    Returns:
        Receipt with counts read = new + same + rejected + unmatched (the last ones are parked).

    Raises:
        IngestError: If rows are refused: bad probabilities, unknown label, wrong kind, no question ...; nothing was
            written.
        ConfigError: If actor or question contradict what the lake holds, or no such source has landed.
    """
    if match not in MATCHES:
        raise ConfigError(f"record_opinions: match = {match!r}{nearest(match, MATCHES)}")
    check_landed(lake, landed_source, where=f"opinions {source}")
    with step(lake, "opinions") as record:
        record.details["source"] = source
        who = None if actor is None else _actor(actor)
        asked = question if isinstance(question, Question) else None
        name = (question.question_id if isinstance(question, Question) else question) or ""
        version = question.version if isinstance(question, Question) else _newest(lake, name)
        named = "" if who is None else who.actor_id
        options = JsonlOptions(question=name, actor=named, question_version=version)
        plan = ReadPlan(
            rules=rules_of(lake, asked), now=lake.clock(), match=match, valid_time=said_at, system=system,
            project=project,
        )  # fmt: skip
        items = pa.Table.from_batches(item_batches(_items(rows, options), plan), schema=ITEMS)
        content = Content(
            source=source,
            system=system,
            format=RECORDS,
            sha256=_sha256(items),
            options_json=canonical_json({"question": name, "actor": named, "inputs": dict(inputs or {})}),
            valid_time=said_at,
            uri=None,
        )
        with import_lock(lake):
            job = Import(
                content=content,
                batch=next_batch(lake, content),
                rule=SubjectRule(source=landed_source, match=match),
                repeat="duplicate",
                asked=asked,
                actors=() if who is None else (who,),
                max_rejected_share=max_rejected_share,
                new_question=asked is not None,
            )
            absorb(lake, lake.engine.stage(lake.engine.from_arrow(items)), job, record)
    return record.finished()


def _actor(actor: str | Actor) -> Actor:
    if isinstance(actor, Actor):
        return actor
    try:
        return actor_from(actor)
    except RejectedInputError as error:
        raise ConfigError(error.reason) from error


def _newest(lake: Lake, question: str) -> int:
    return max((version for name, version in rules_of(lake, None) if name == question), default=1)


def _items(rows: pa.Table | Iterable[Mapping[str, object]], options: JsonlOptions) -> Iterator[Item]:
    for number, row in enumerate(_mappings(rows), start=1):
        where = f"row {number}"
        try:
            yield answer_from(_record(row), options, where=where)
        except RejectedInputError as error:
            yield reject(where, error.rule, error.reason, repr(dict(row)))


def _mappings(rows: pa.Table | Iterable[Mapping[str, object]]) -> Iterator[Mapping[str, object]]:
    if isinstance(rows, pa.Table):
        for batch in rows.to_batches():
            yield from batch.to_pylist()
    else:
        yield from rows


def _record(row: Mapping[str, object]) -> dict[str, object]:
    record = {NAMES.get(key, key): _plain(value) for key, value in row.items()}
    if isinstance(probs := record.get("probs"), list):
        # Arrow hands out a map as pairs.
        try:
            record["probs"] = dict(probs)
        except (TypeError, ValueError) as error:
            raise RejectedInputError("bad_probabilities", "probabilities must map each label to its share") from error
    if isinstance(time := record.get("event_time"), datetime):
        record["event_time"] = time.isoformat()
    return record


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    # NumPy and torch scalars know their Python value.
    item = getattr(value, "item", None)
    return item() if callable(item) else value


def _sha256(items: pa.Table) -> str:
    said = items.select(["subject_key", "question_id", "slot", "value_hash", "reason"])
    lines = sorted(canonical_json(list(row.values())) for row in said.to_pylist())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
