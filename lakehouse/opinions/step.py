"""opinions: annotation files and predictions -> silver.opinions."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from lakehouse.engines import Relation
from lakehouse.errors import IngestError
from lakehouse.lake import Lake
from lakehouse.opinions.formats import format_named, format_options
from lakehouse.opinions.formats.folders import files_left_out
from lakehouse.opinions.formats.format import Format
from lakehouse.opinions.matching.landed import check_landed
from lakehouse.opinions.parked import resolve_parked
from lakehouse.opinions.predictions import record_opinions
from lakehouse.opinions.questions import Question, differing_ids, differing_parents, rules_of
from lakehouse.opinions.reading.answer_rows import ITEMS, PARTS, ReadPlan, read_parts
from lakehouse.opinions.reading.equal_rows import merge_votes
from lakehouse.opinions.reading.known_files import is_settled, keep_settled, standing_now
from lakehouse.opinions.reading.source import OpinionSource, opinion_source_from
from lakehouse.opinions.remarks import tell_notes
from lakehouse.opinions.writing.batch import Content, files_sha256, next_batch, stamps, uri_of
from lakehouse.opinions.writing.write import COUNTS, Import, absorb, import_lock
from lakehouse.query import fetch, query
from lakehouse.steps.receipts import Receipt
from lakehouse.steps.step import StepRecord, step
from schemas.canonical import canonical_json

FILES_PER_TASK = 200
TASK_BYTES = 8 << 20
"""A task reads as many files as have so many bytes together, at most 200; a larger file goes to several."""

__all__ = ["OpinionSource", "import_all", "opinion_source_from", "opinions", "record_opinions", "resolve_parked"]


def opinions(lake: Lake, source: OpinionSource, *, followed_by: Iterable[str] = ()) -> Receipt:
    """Read annotation files and write what they say as opinions; append-only.

    Importing the same files again adds nothing. Importing changed ones adds what differs: an answer with the
    same actor, question, subject, slot and time supersedes the one it corrects. Of undated answers the one that
    was imported last holds: a file that comes again after another one said otherwise is said again, and the
    receipt notes it (`said_again`). Dated ones hold by their time; an older one that comes again changes nothing,
    and the receipt notes that (`not_current`).

    Args:
        lake: The lake.
        source: The files and how to read them.
        followed_by: Paths of files that are always imported after these, as in a pipeline: what they correct is
            not said again by these.

    Returns:
        Receipt with counts read = new + same + rejected + unmatched (the last ones are parked).

    Raises:
        ConfigError: If an option is wrong, no such source has landed, or the question has another meaning here.
        IngestError: If the files cannot be read or change meanwhile, or too many rows are rejected; nothing was
            written then.
    """
    chosen, path = format_named(source.format), Path(source.path)
    if not path.exists():
        raise IngestError(f"opinions {source.name}: {path} does not exist; give a file or folder of annotations")
    if not source.early:
        check_landed(lake, source.source, where=f"opinions {source.name}")
    parts = chosen.parts(path)
    before = stamps(path, parts)
    content = _content(source, path, parts, chosen)
    with step(lake, "opinions") as record:
        record.details["source"] = source.name
        if source.guessed:
            record.note("guessed", " ".join(source.guessed), count=len(source.guessed))
        others = files_left_out(path, parts)
        if others:
            shown = others[0].encode("utf-8", "backslashreplace").decode()
            record.note("files_not_read", f"{len(others)} files of {path} are not read as {source.format}, such as "
                        f"{shown!r}; import them by themselves", count=len(others))
        if is_settled(lake, content, followers=[uri_of(Path(each)) for each in followed_by]):
            record.counts = dict.fromkeys(COUNTS, 0)
            record.details["unchanged"] = "this content was imported before"
        else:
            asked = source.asked(chosen.stated(path, format_options(source.format, source.reader_options()))
                                 if chosen.stated else None)  # fmt: skip
            if differing := differing_ids(lake, asked):
                record.note("export_id_differs", differing[0], count=len(differing))
            if moved := differing_parents(lake, asked):
                record.note("parent_differs", moved[0], count=len(moved))
            items = _read(lake, source, asked, path, parts, [size for _, size, _ in before])
            if stamps(path, parts) != before:
                raise IngestError(f"opinions {source.name}: {path} changed while it was read; import it again")
            tell_notes(lake, query(lake, "select * from items where kind = 'note'", inputs={"items": items}), record)
            _judge(lake, items, source, chosen, record)
            _absorb(lake, items, source, asked, content, record)
            if not record.counts["read"]:
                record.note("nothing_read", f"{path} holds no answers")
    return record.finished()


def import_all(lake: Lake, sources: Sequence[OpinionSource]) -> Iterator[Receipt]:
    """Import several sources in their order, a later one correcting an earlier; yields the receipt of each."""
    for place, source in enumerate(sources):
        yield opinions(lake, source, followed_by=[each.path for each in sources[place + 1 :]])


def _absorb(
    lake: Lake, items: Relation, source: OpinionSource, asked: Question, content: Content, record: StepRecord
) -> None:
    with import_lock(lake):
        job = Import(
            content=content,
            batch=next_batch(lake, content),
            rule=source.subject_rule(),
            repeat=source.repeat,
            asked=asked,
            actors=(),
            max_rejected_share=_share(lake, source),
            new_question=source.new_question,
            one_each=format_named(source.format).one_each,
        )
        absorb(lake, items, job, record)
        standing = standing_now(lake, items)
    keep_settled(lake, content, standing, record.writes)


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


def _read(
    lake: Lake, source: OpinionSource, asked: Question, path: Path, parts: list[str], sizes: list[int]
) -> Relation:
    plan = ReadPlan(
        rules=rules_of(lake, asked),
        now=lake.clock(),
        match=source.match,
        valid_time=source.valid_time,
        system=source.system,
        project=source.project,
        pooled=source.repeat == "votes",
        format=source.format,
        path=str(path.absolute()),
        options=source.reader_options(),
        missing=source.missing,
    )
    files = [each for place, part in enumerate(parts) for each in _pieces(lake, source, place, part, sizes[place])]
    items = lake.engine.stage(
        lake.engine.map_batches(
            lake.engine.from_arrow(pa.Table.from_pylist(files, schema=PARTS)),
            functools.partial(read_parts, plan=plan),
            ITEMS,
            rows_per_task=max(1, min(FILES_PER_TASK, len(files) * TASK_BYTES // max(1, sum(sizes)))),
            label=f"read {source.name}",
            reads_here=True,
        )
    )
    return merge_votes(lake, items) if source.repeat == "votes" else items


def _pieces(lake: Lake, source: OpinionSource, place: int, part: str, size: int) -> list[dict[str, object]]:
    """Return the rows of `PARTS` of one file."""
    # Every task parses all of it: more of them than cores would only cost.
    cores = lake.config.engine.workers or len(os.sched_getaffinity(0))
    pieces = 1 if format_named(source.format).read_piece is None else max(1, min(cores, size // TASK_BYTES))
    return [{"part": place, "file": part, "piece": number, "pieces": pieces} for number in range(pieces)]


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
