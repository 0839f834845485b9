"""Answers in a program's memory become opinions, without files and without a JVM: of a model, of an annotation server.

The same way, ids and checks as an import of JSON lines: what came by one way and comes again by the other adds nothing.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Protocol, TypeAlias, runtime_checkable

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


@runtime_checkable
class Frame(Protocol):
    """A data frame of pandas, Polars, DuckDB ...: it hands out its rows as Arrow."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The rows as a stream of Arrow's C interface."""


NAMES = {"entity_id": "subject", "probabilities": "probs"}
RECORDS = "records"


Rows: TypeAlias = pa.Table | pa.RecordBatchReader | Frame | Iterable[Mapping[str, object]]
"""One mapping, Arrow row or row of a data frame per answer."""


def record_opinions(
    lake: Lake,
    rows: Rows,
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
        rows: One mapping per answer (a list or an iterator), an Arrow table or reader, or a data frame of pandas (or
            of another library that hands out Arrow): `entity_id`, then `label` and/or `probabilities`
            (label -> 0..1, sum 1 within 0.01; without a label the most probable one is the answer), or any
            other field of a JSON line (`regions`, `number`, `op`, `event_time`, `source_key` ...). NumPy scalars are
            welcome, and times, UTC where they name no zone; what is null is not stated. Tensors of predictions become
            such rows in `lakehouse.opinions.tensors`.
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
    return record_items(
        lake,
        functools.partial(_items, rows),
        source=source,
        question=question,
        actor=actor,
        said_at=said_at,
        inputs=inputs,
        match=match,
        landed_source=landed_source,
        system=system,
        project=project,
        max_rejected_share=max_rejected_share,
    )


def record_items(
    lake: Lake,
    read: Callable[[JsonlOptions], Iterator[Item]],
    *,
    source: str,
    question: str | Question | None,
    actor: str | Actor | None,
    said_at: datetime | None = None,
    inputs: Mapping[str, str] | None = None,
    match: str = "sha256",
    landed_source: str = "",
    system: str = "",
    project: str = "",
    max_rejected_share: float = 0.0,
) -> Receipt:
    """`record_opinions` of answers and rejects that `read` gives for the options of JSON lines."""
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
        items = pa.Table.from_batches(item_batches(read(options), plan), schema=ITEMS)
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


def _items(rows: Rows, options: JsonlOptions) -> Iterator[Item]:
    for number, row in enumerate(_mappings(rows), start=1):
        where = f"row {number}"
        try:
            yield answer_from(_record(row), options, where=where)
        except RejectedInputError as error:
            yield reject(where, error.rule, error.reason, repr(dict(row)))


def _mappings(rows: Rows) -> Iterator[Mapping[str, object]]:
    if isinstance(rows, Frame):
        # pandas writes what is missing as NaN, and Arrow as null.
        rows = pa.Table.from_pandas(rows, preserve_index=False) if _is_pandas(rows) else pa.table(rows)
    if isinstance(rows, pa.Table):
        rows = rows.to_reader()
    if isinstance(rows, pa.RecordBatchReader):
        for batch in rows:
            for row in batch.to_pylist():
                yield {name: _stated(value) for name, value in row.items() if value is not None}
    else:
        yield from rows


def _stated(value: object) -> object:
    """Return a value of Arrow without what is null in it: there every region has every key that any has."""
    if isinstance(value, Mapping):
        return {key: _stated(each) for key, each in value.items() if each is not None}
    return [_stated(each) for each in value] if isinstance(value, list) else value


def _is_pandas(rows: object) -> bool:
    return type(rows).__module__.partition(".")[0] == "pandas"


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
