"""opinions: annotation files and predictions -> silver.opinions."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

from lakehouse.engines import Relation
from lakehouse.errors import IngestError
from lakehouse.fresh import find_note, keep_note
from lakehouse.lake import Lake
from lakehouse.opinions.absorb import COUNTS, Import, absorb, import_lock
from lakehouse.opinions.batch import Content, files_sha256, next_batch, stamps, uri_of
from lakehouse.opinions.formats import Format, format_named, format_options
from lakehouse.opinions.items import ITEMS, PARTS, ReadPlan, read_parts
from lakehouse.opinions.merge import merge_votes
from lakehouse.opinions.parked import resolve_parked
from lakehouse.opinions.predictions import record_opinions
from lakehouse.opinions.questions import rules_of
from lakehouse.opinions.source import OpinionSource, opinion_source_from
from lakehouse.opinions.telling import tell_notes
from lakehouse.query import fetch
from lakehouse.receipts import Receipt
from lakehouse.steps import StepRecord, step
from lakehouse.tables import head
from schemas.canonical import canonical_json
from schemas.tables import ENTITY_SOURCES

FILES_PER_TASK = 200

PLACE = "opinions_place"
"""Note of what a place held when it was imported last."""

__all__ = ["OpinionSource", "import_opinions", "opinion_source_from", "record_opinions", "resolve_parked"]


def import_opinions(lake: Lake, source: OpinionSource) -> Receipt:
    """Read annotation files and write what they say as opinions; append-only.

    Importing the same files again adds nothing. Importing changed ones adds what differs: an answer with the
    same actor, question, subject, slot and time supersedes the one it corrects.

    Args:
        lake: The lake.
        source: The files and how to read them.

    Returns:
        Receipt with counts read = new + same + rejected + unmatched (the last ones are parked).

    Raises:
        ConfigError: If an option is wrong, or the question has another meaning in this lake.
        IngestError: If the files cannot be read or change meanwhile, or too many rows are rejected; nothing was
            written then.
    """
    chosen, path = format_named(source.format), Path(source.path)
    if not path.exists():
        raise IngestError(f"opinions {source.name}: {path} does not exist; give a file or folder of annotations")
    parts = chosen.parts(path)
    before = stamps(path, parts)
    content = _content(source, path, parts, chosen)
    with step(lake, "opinions") as record:
        record.details["source"] = source.name
        if _unchanged(lake, content):
            record.counts = dict.fromkeys(COUNTS, 0)
            record.details["unchanged"] = "this content was imported before"
        else:
            items = _read(lake, source, path, parts)
            if stamps(path, parts) != before:
                raise IngestError(f"opinions {source.name}: {path} changed while it was read; import it again")
            tell_notes(lake, items, record)
            _judge(lake, items, source, chosen, record)
            _absorb(lake, items, source, content, record)
        _keep_state(lake, content, record)
    return record.finished()


def _unchanged(lake: Lake, content: Content) -> bool:
    # What matters is what was imported from this place last: A after B is news, though A was seen before.
    note = find_note(lake, PLACE, _place(content))
    if note is not None and note.details == _state(lake, content):
        return True
    with import_lock(lake):
        return next_batch(lake, content).unchanged


def _keep_state(lake: Lake, content: Content, record: StepRecord) -> None:
    state = _state(lake, content)
    keep_note(lake, PLACE, _place(content), counts={}, details=state, writes=record.writes)


def _place(content: Content) -> dict[str, object]:
    return {"source": content.source, "uri": content.uri}


def _state(lake: Lake, content: Content) -> dict[str, str]:
    state = {"content": content.content_id}
    if content.landed_source is not None:
        # Only names are read: other bytes under them are a change as well.
        state["landed"] = str(head(lake.root, ENTITY_SOURCES))
    return state


def _absorb(lake: Lake, items: Relation, source: OpinionSource, content: Content, record: StepRecord) -> None:
    with import_lock(lake):
        job = Import(
            content=content,
            batch=next_batch(lake, content),
            rule=source.subject_rule(),
            repeat=source.repeat,
            asked=source.asked(),
            actors=(),
            max_rejected_share=_share(lake, source),
        )
        absorb(lake, items, job, record)


def _content(source: OpinionSource, path: Path, parts: list[str], chosen: Format) -> Content:
    return Content(
        source=source.name,
        system=source.system,
        format=source.format,
        sha256=files_sha256(path, parts, chosen),
        options_json=canonical_json(source.content_options()),
        valid_time=source.valid_time,
        uri=uri_of(path),
        landed_source=source.source if chosen.names_only else None,
    )


def _read(lake: Lake, source: OpinionSource, path: Path, parts: list[str]) -> Relation:
    plan = ReadPlan(
        rules=rules_of(lake, source.asked()),
        now=lake.clock(),
        match=source.match,
        valid_time=source.valid_time,
        system=source.system,
        project=source.project,
        pooled=source.repeat == "votes",
        format=source.format,
        path=str(path.absolute()),
        options=source.reader_options(),
    )
    files = pa.Table.from_pylist([{"part": place, "file": part} for place, part in enumerate(parts)], schema=PARTS)
    items = lake.engine.stage(
        lake.engine.map_batches(
            lake.engine.from_arrow(files),
            functools.partial(read_parts, plan=plan),
            ITEMS,
            rows_per_task=FILES_PER_TASK,
            label=f"read {source.name}",
        )
    )
    return merge_votes(lake, items) if source.repeat == "votes" else items


def _judge(lake: Lake, items: Relation, source: OpinionSource, chosen: Format, record: StepRecord) -> None:
    if chosen.judge is None:
        return
    totals: dict[str, int] = {}
    for row in fetch(lake, "select raw from items where kind = 'tally'", inputs={"items": items}):
        _add(totals, json.loads(row["raw"]))
    warning = chosen.judge(totals, format_options(source.format, source.reader_options())) if totals else None
    if warning is not None:
        record.note(f"{source.format}_options", warning)


def _add(totals: dict[str, int], counts: Mapping[str, int]) -> None:
    for name, count in counts.items():
        totals[name] = totals.get(name, 0) + count


def _share(lake: Lake, source: OpinionSource) -> float:
    stated = source.max_rejected_share
    return lake.config.opinions.max_rejected_share if stated is None else stated
