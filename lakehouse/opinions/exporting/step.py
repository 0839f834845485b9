"""export_opinions: what is said about one question -> files of a label format."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from lakehouse.engines import Relation
from lakehouse.errors import ConfigError
from lakehouse.lake import Lake
from lakehouse.names import nearest
from lakehouse.opinions.exporting.merging import Merges, Standing, merged, merges_of
from lakehouse.opinions.exporting.ontology import ontology_of
from lakehouse.opinions.exporting.remote import place_at
from lakehouse.opinions.exporting.selection import Chosen, Wanted, choose
from lakehouse.opinions.formats import format_named, formats
from lakehouse.opinions.formats.writer import Said, Writer
from lakehouse.steps.receipts import Receipt
from lakehouse.steps.step import StepRecord, step
from lakehouse.typed import fill
from loaders.stores.storage import StorageOptions

LOST = "lost_"
"""How the rules of notes about losses begin."""


def export_opinions(
    lake: Lake,
    *,
    format: str,
    path: str | Path,
    question: str | None = None,
    actor: str | None = None,
    source: str = "",
    known_at: datetime | None = None,
    valid_at: datetime | None = None,
    options: Mapping[str, object] | None = None,
    strict: bool = False,
    held: Relation | None = None,
    storage: StorageOptions | None = None,
) -> Receipt:
    """Write what is said about one question as annotation files; the same export again writes nothing.

    Args:
        lake: The lake.
        format: A format that can be written; see `writable`.
        path: New folder or file; or one with these very files. Also a URL: `s3://bucket/cells.json` of a format of one
            file, `s3://bucket/prefix` of one of several, which has `_export.json` when it is whole.
        question: The question; None: every one, of formats that hold several (JSON lines, Label Studio).
        actor: Whose answers; None: everybody's, which formats that hold one answer about each subject refuse if there
            are several.
        source: Landed source whose files alone go out, under their names there; "": all, each under its first name.
        known_at: As we knew it then (time of import), with the label set of that time; None: now.
        valid_at: As had been said by then (time of the answer); None: all.
        options: Options of the writer.
        strict: Refuse what the format cannot hold in place of telling it.
        held: Rows of silver.opinions that are exported in place of those that hold.
        storage: How to reach a URL; None takes what the configuration says of it ([stores]).

    Returns:
        Receipt with counts answers = exported + those left out (`abstained`, `no_name`, `not_written`: the format can
        say nothing of what they have), files, bytes written, and
        notes `lost_...`: what the format cannot hold, by rule, told before anything is written. `labels_merged` counts
        answers that go out with the label that another was merged into, as every format but JSON lines has it.

    Raises:
        ConfigError: If there is no such format, question or actor, the format does not hold such answers, answers are
            of several actors and the format holds one each (the message names them), `strict` and something is lost,
            or the place holds other things or lies in the lake.
        AlreadyPublishedError: If a prefix of a bucket holds another export.
        StorageError, DeadlineError: If a store refuses or does not answer.
    """
    writer = writer_named(format)
    checked = fill(writer.options, dict(options or {}), where=f"opinions export {format}", word="option")
    if question is None and not writer.several:
        raise ConfigError(f"opinions export {format}: this format holds answers to one question; name it: --question")
    for name, time in (("known_at", known_at), ("valid_at", valid_at)):
        if time is not None and time.tzinfo is None:
            raise ConfigError(f"{name} = {time} names no time zone")
    place = place_at(lake, path, format=format, options=storage)
    with step(lake, "opinions_export") as record:
        wanted = Wanted(question or "", actor, source, known_at, valid_at)
        chosen = choose(
            lake, wanted, held, one_each=writer.one_each, abstains=writer.abstains, beside=writer.beside
        )
        record.counts = {"answers": chosen.count + sum(chosen.left_out.values()), "exported": chosen.count}
        record.counts |= dict(chosen.left_out)
        record.details = {"format": format, "to": place.shown, "actors": ", ".join(chosen.actors)}
        merges = {} if writer.as_said else merges_of(lake, known_at)
        _tell_losses(chosen, merges, writer, checked, record, format=format, strict=strict)
        with place:
            answers = Standing(chosen.answers, merges, lambda said: writer.leaves_out(said, checked))
            writer.write(answers, place, ontology_of(lake, question or "", known_at), checked)
            if place.finish():
                record.bytes_written = place.bytes
            else:
                record.details["unchanged"] = "this was exported there before"
            record.details["files"] = f"{place.files}"
    return record.finished()


def writable() -> tuple[str, ...]:
    """Return the formats that can be written, by name."""
    return tuple(sorted(name for name, each in formats().items() if each.writer is not None))


def writer_named(format: str) -> Writer:
    """Return the writer of a format.

    Raises:
        ConfigError: If there is no such format, or it is only read.
    """
    writer = format_named(format).writer
    if writer is None:
        raise ConfigError(f"format `{format}` is read and not written{nearest(format, writable())}; these are "
                          f"written: {', '.join(writable())}")  # fmt: skip
    return writer


def _tell_losses(
    chosen: Chosen, merges: Merges, writer: Writer, options: Any, record: StepRecord, *, format: str, strict: bool
) -> None:
    lost: dict[str, tuple[int, str]] = {}
    omitted, examples = 0, ""
    before = None
    for found in chosen.answers:
        answer, replaced = merged(found.answer, merges)
        said = Said(answer, found.subject)
        if before is not None and before.name == said.subject.name and before.entity_id != said.subject.entity_id:
            # They come by their names, one after the other.
            count, example = lost.get("same_name", (0, f"{before.name}: two subjects are called so; name one --source"))
            lost["same_name"] = count + 1, example
        before = said.subject
        if replaced:
            record.note("labels_merged", f"{said.subject.name}: {replaced} is written as the label it was merged into")
        if said.answer.op == "assert" and said.answer.value_kind not in writer.holds:
            raise ConfigError(
                f"format {format} holds {' or '.join(writer.holds)}, and the answers of question "
                f"{said.answer.question_id} are {said.answer.value_kind}"
            )
        if writer.leaves_out(said, options):
            omitted, examples = omitted + 1, examples or said.subject.name
        for rule, text in writer.losses(said, options):
            count, example = lost.get(rule, (0, text))
            lost[rule] = count + 1, example
    if omitted:
        text = f"{examples}: nothing of it can be written; it is left out, as it does not say that nothing is there"
        lost["whole_answer"] = omitted, text
        record.counts["exported"] -= omitted
        record.counts["not_written"] = omitted
    if strict and lost:
        shown = "; ".join(f"{rule} ({count:,}): {example}" for rule, (count, example) in lost.items())
        raise ConfigError(f"format {format} cannot hold all of it, and nothing was written: {shown}")
    if omitted == chosen.count:
        shown = "; ".join(f"{rule} ({count:,}): {example}" for rule, (count, example) in lost.items())
        raise ConfigError(f"format {format} can write none of the {chosen.count:,} answers: {shown}")
    for rule, (count, example) in lost.items():
        record.note(LOST + rule, example, count=count)
