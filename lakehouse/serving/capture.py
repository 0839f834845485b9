"""capture: raw inputs, predictions, metadata and feedback of served events -> files, records and opinions.

The parts of an event come as files and lines of JSON, in any order and at any time, and are joined by its id. What
the model said is an opinion of `model:name@version`, what its user said one of `human:name`, about the input.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace

from lakehouse.errors import ConfigError, RejectedInputError
from lakehouse.ingestion.entities import entities
from lakehouse.ingestion.land import land
from lakehouse.ingestion.sources.delivery import list_source
from lakehouse.ingestion.sources.forms import CAPTURE, FILES, CaptureOptions
from lakehouse.ingestion.sources.layout import kept_row
from lakehouse.ingestion.sources.source import Source
from lakehouse.lake import Lake
from lakehouse.opinions.reading.strict_json import strict_loads
from lakehouse.opinions.step import record_opinions
from lakehouse.query import fetch
from lakehouse.serving.event_parts import PREDICTION, WHO, Part, event_parts
from lakehouse.steps.receipts import Receipt
from lakehouse.steps.rejects import rejected_row
from lakehouse.steps.step import StepRecord, balance, step
from lakehouse.tables.insert import insert_rows
from schemas.tables import RAW_RECORDS, REJECTED

RECORDS_PER_COMMIT = 20_000
OTHERS = {"event_id", "part", "model", "user", "at"}
"""Keys of a prediction or feedback that are no part of the answer."""

EVENTS = """
select count(*) as events,
    count(*) filter (
        where num_inputs > 0 and num_predictions > 0 and num_metadata > 0 and num_feedback > 0
    ) as complete,
    count(*) filter (where num_inputs = 0) as without_input,
    count(*) filter (where num_predictions = 0) as without_prediction,
    count(*) filter (where num_metadata = 0) as without_metadata,
    count(*) filter (where num_feedback = 0) as without_feedback,
    count(*) filter (where num_inputs > 1) as of_several_inputs,
    min(event_id) filter (where num_inputs > 1) as of_several
from served_events where source = $source
"""

INPUTS = "select event_id, entity_id from served_events where source = $source and entity_id is not null"

ERASED = """
select distinct regexp_replace(regexp_extract(path, '[^/]*$', 0), '[.][^.]*$', '') as event_id
from bronze.landed_files where source = $source and rule = 'erased'
"""
"""Events whose input came again after it was erased."""

ANSWERS = """
select payload from bronze.raw_records
where source = $source and kind = 'event' and json_extract_string(payload, '$.part') in ('prediction', 'feedback')
order by record_id
"""


def capture(lake: Lake, source: Source) -> Iterator[Receipt]:
    """Land what has come of served events, and join it; yields a receipt of each step.

    A part that comes late attaches when this is run again; an event that lacks parts waits, and is counted.

    Args:
        lake: The lake.
        source: A source with `form = "capture"`; its options name the question that model and users answer.

    Returns:
        Receipts of `land` and `entities` if there are inputs, of `capture` (records = new + same + erased + refused,
        events = complete + waiting) and, if an event has its input and an answer, of `opinions`.

    Raises:
        ConfigError: If the source has another form.
        IngestError: If its folder or a file of records cannot be read.
    """
    if source.form != CAPTURE:
        raise ConfigError(f"source {source.name}: capture takes a source of form = \"capture\", found {source.form}")
    options: CaptureOptions = source.chosen_options
    files = functools.partial(replace, source, form=FILES, options={}, exclude=())
    inputs = files(include=options.inputs, exclude=options.records)
    if next(list_source(inputs, lake.home), None) is not None:  # records may come first
        yield land(lake, inputs)
        yield entities(lake)
    yield _keep_parts(lake, files(include=options.records))
    if rows := list(_answers(lake, source)):
        # One answer that does not pass must not hold up the others: it is a counted reject.
        yield record_opinions(lake, rows, source=source.name, question=options.question, max_rejected_share=1.0)


def _keep_parts(lake: Lake, source: Source) -> Receipt:
    with step(lake, "capture") as record:
        counts = record.counts = dict.fromkeys(("records", "new", "same", "erased", "refused"), 0)
        # So that inputs of which nothing was told yet are known to be events.
        marked = kept_row(source, {}, origin=source.address, kind="capture", after=None)
        record.writes.append(insert_rows(lake, RAW_RECORDS, [marked], step="capture"))
        erased = frozenset(row["event_id"] for row in fetch(lake, ERASED, params={"source": source.name}))
        portion: list[Part] = []
        for part in event_parts(lake, source):
            portion.append(part)
            if len(portion) == RECORDS_PER_COMMIT:
                _write(lake, source, portion, record, erased)
                portion = []
        _write(lake, source, portion, record, erased)
        parts = {name: counts[name] for name in ("new", "same", "erased", "refused")}
        balance("capture", "records", parts, counts["records"])
        found = fetch(lake, EVENTS, params={"source": source.name})[0]
        counts |= {"events": found["events"], "complete": found["complete"]}
        counts["waiting"] = found["events"] - found["complete"]
        for name in ("input", "prediction", "metadata", "feedback"):
            if missing := found[f"without_{name}"]:
                record.note(f"without_{name}", f"events that wait for their {name}", count=missing)
        if several := found["of_several_inputs"]:
            record.note("several_inputs", f"{found['of_several']}: inputs of other bytes have its id; answers are "
                        "about the last one", count=several)  # fmt: skip
    return record.finished()


def _write(lake: Lake, source: Source, parts: list[Part], record: StepRecord, erased: frozenset[object]) -> None:
    # Of what was erased nothing comes back, whatever else is said of it.
    good = [part.row(source.name) for part in parts if part.record and part.record["event_id"] not in erased]
    refused = [_rejected(source, part, part.error) for part in parts if part.error is not None]
    written = insert_rows(lake, RAW_RECORDS, good, step="capture")
    record.writes += [written, insert_rows(lake, REJECTED, refused, step="capture")]
    for part in parts:
        if part.error is not None:
            record.note(part.error.rule, f"{part.origin}:{part.ordinal}: {part.error.reason}")
    record.counts["records"] += len(parts)
    record.counts["new"] += written.rows_new
    record.counts["same"] += len(good) - written.rows_new
    record.counts["erased"] += len(parts) - len(good) - len(refused)
    record.counts["refused"] += len(refused)


def _rejected(source: Source, part: Part, error: RejectedInputError) -> dict[str, object]:
    where = f"{part.origin}:{part.ordinal}"
    return rejected_row("capture", where, error, source=source.name, location=where, raw=part.text)


def _answers(lake: Lake, source: Source) -> Iterator[dict[str, object]]:
    """Yield what models and users said of inputs that are here, as `record_opinions` takes it."""
    inputs = {row["event_id"]: row["entity_id"] for row in fetch(lake, INPUTS, params={"source": source.name})}
    for row in fetch(lake, ANSWERS, params={"source": source.name}):
        said = strict_loads(row["payload"])
        assert isinstance(said, dict)
        if said["event_id"] not in inputs:
            continue
        who = f"{'model' if said['part'] == PREDICTION else 'human'}:{said[WHO[str(said['part'])]]}"
        answer = {key: value for key, value in said.items() if key not in OTHERS}
        time = {"event_time": said["at"]} if said.get("at") is not None else {}
        yield answer | time | {
            "entity_id": inputs[said["event_id"]], "actor": who, "ext": {"event_id": said["event_id"]}
        }  # fmt: skip

