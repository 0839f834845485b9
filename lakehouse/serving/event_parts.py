"""Parts of served events: lines of JSON, each of one event, in any order and any file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lakehouse.errors import IngestError, RejectedInputError
from lakehouse.ingestion.sources.delivery import list_source
from lakehouse.ingestion.sources.source import Source
from lakehouse.lake import Lake
from lakehouse.objects import read_bytes
from lakehouse.opinions.reading.strict_json import clean_texts, strict_loads
from schemas.canonical import content_id

PREDICTION, FEEDBACK, METADATA = "prediction", "feedback", "metadata"
WHO = {PREDICTION: "model", FEEDBACK: "user"}
"""Key that says who answered; metadata answer nothing."""
FILE_BYTES = 1 << 30
"""Of one file of records; it is in memory whole."""


@dataclass(frozen=True, slots=True)
class Part:
    """One line.

    Attributes:
        origin: URI of its file.
        ordinal: Line, from 1.
        text: As it came.
        record: What it says; None where it is refused.
        error: Why it is.
    """

    origin: str
    ordinal: int
    text: str
    record: dict[str, object] | None = None
    error: RejectedInputError | None = None

    def row(self, source: str) -> dict[str, object]:
        """The row of bronze.raw_records; the same line in two files is one record."""
        return {
            "record_id": content_id([source, "event", self.text]), "source": source, "origin": self.origin,
            "ordinal": self.ordinal, "kind": "event", "payload": self.text,
        }  # fmt: skip


def event_parts(lake: Lake, source: Source) -> Iterator[Part]:
    """Yield every line of the files that a source lists.

    Raises:
        IngestError: If a file cannot be read.
    """
    for listed in list_source(source, lake.home):
        if listed.rule is not None:
            yield Part(listed.uri, 1, "", error=RejectedInputError(listed.rule, str(listed.reason)))
            continue
        if listed.size_bytes > FILE_BYTES:
            raise IngestError(f"{listed.uri}: {listed.size_bytes} bytes, limit {FILE_BYTES}; write them to more files")
        for number, line in enumerate(read_bytes(lake.home, listed.uri).split(b"\n"), start=1):
            if line.strip():
                yield _part(listed.uri, number, line)


def _part(origin: str, number: int, line: bytes) -> Part:
    try:
        text = line.decode("utf-8").strip()
        record = strict_loads(text)
        clean_texts(record)
        if not isinstance(record, dict):
            raise RejectedInputError("not_an_object", f"must be an object, found {type(record).__name__}")
        _check(record)
    except UnicodeDecodeError as error:
        said = RejectedInputError("not_utf8", f"is not UTF-8 at byte {error.start}")
        return Part(origin, number, line.decode("utf-8", "replace"), error=said)
    except RejectedInputError as error:
        return Part(origin, number, text, error=error)
    return Part(origin, number, text, record)


def _check(record: dict[str, object]) -> None:
    kind = record.get("part")
    if not (isinstance(record.get("event_id"), str) and record["event_id"]):
        raise RejectedInputError("no_event", "states no event_id")
    if kind not in (PREDICTION, FEEDBACK, METADATA):
        raise RejectedInputError("unknown_part", f"part = {kind!r}: expected prediction, feedback or metadata")
    who = WHO.get(str(kind))
    if who and not (isinstance(record.get(who), str) and record[who]):
        raise RejectedInputError("nobody", f"a {kind} says who made it in `{who}`")
