"""CSV: one answer per row, columns named by options. Text stays text: "NA", "None" and "007" are labels."""

from __future__ import annotations

import csv
import json
import zoneinfo
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from pathlib import Path

from lakehouse.config import nearest
from lakehouse.errors import ConfigError, IngestError, RejectedInputError
from lakehouse.opinions import parse
from lakehouse.opinions.answer import Answer, Item, Reject, Value
from lakehouse.opinions.formats.common import CommonOptions, Line, Lines, reject

ROLES = (
    "subject", "label", "actor", "question", "votes", "time", "confidence", "slot", "op", "target", "reason",
    "id", "version",
)
KINDS = ("label", "labels", "number", "text", "bool")
TIME_UNITS = ("iso", "s", "ms", "us")
MAX_RECORD_LINES = 1_000
"""A field with more lines than this is taken for a quote that was never closed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvOptions(CommonOptions):
    """Options of CSV.

    Attributes:
        columns: Role -> column name. Roles: subject and label (needed), actor, question, votes, time,
            confidence, slot, op, target (of a retraction), reason, id and version (of the source system).
            With votes the slot is the label, unless it is stated: the counts of a pool stand side by side.
        value_kind: What the label column holds: label, labels, number, text or bool.
        separator: Between the labels of kind labels.
        delimiter: Between columns.
        quote: Around fields that hold delimiters or line ends.
        header: Whether the first row names the columns; if not, they are called "1", "2" ...
        actor_prefix: Put before what the actor column holds, for example "human:".
        abstain: Texts of the label column that mean "I decline to answer".
        probs_prefix: Columns whose name begins so hold the probability of the label after the prefix; "" = none.
        decimal: "." or ",".
        time_unit: iso (ISO 8601) or s, ms, us since 1970.
        time_zone: Zone of times that name none.
        keep_raw: Keep every row's cells in `raw_json`.
        max_record_bytes: Longest record; longer ones are rejected.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    value_kind: str = "label"
    separator: str = "|"
    delimiter: str = ","
    quote: str = '"'
    header: bool = True
    actor_prefix: str = ""
    abstain: tuple[str, ...] = ()
    probs_prefix: str = ""
    decimal: str = "."
    time_unit: str = "iso"
    time_zone: str = "UTC"
    keep_raw: bool = True
    max_record_bytes: int = 1 << 20

    def __post_init__(self) -> None:
        for role in self.columns:
            if role not in ROLES:
                raise ConfigError(f"csv: columns.{role} is no role{nearest(role, ROLES)}")
        for name, value, known in (
            ("value_kind", self.value_kind, KINDS),
            ("time_unit", self.time_unit, TIME_UNITS),
            ("decimal", self.decimal, (".", ",")),
        ):
            if value not in known:
                raise ConfigError(f"csv: {name} = {value!r}: must be one of {', '.join(known)}")
        if len(self.delimiter) != 1 or len(self.quote) != 1:
            raise ConfigError("csv: delimiter and quote must be one character each")


@dataclass(frozen=True, slots=True)
class _Record:
    where: str
    cells: list[str]


def read_csv(folder: Path, part: str, options: CsvOptions) -> Iterator[Item]:
    """Give one answer or reject per record; blank lines are no records.

    Raises:
        IngestError: If the file cannot be read, has no header, or a column that the options name is missing.
    """
    path = folder / part if part else folder
    records = _records(path, options)
    first = next(records, None)
    if first is None:
        return
    if not isinstance(first, _Record):
        raise IngestError(f"{path}: the first line cannot be read: {first.rule}: {first.reason}")
    names = first.cells if options.header else [str(place) for place in range(1, len(first.cells) + 1)]
    reader = _RowReader(path, names, options)
    if not options.header:
        yield reader.item(first)
    for record in records:
        yield reader.item(record) if isinstance(record, _Record) else record


class _TooLong(Exception):
    pass


def _records(path: Path, options: CsvOptions) -> Iterator[_Record | Reject]:
    """Split into records with the standard parser. A record that never ends costs its first line, not the rest."""
    # The parser's own limit is a global of the process; ours bounds every record below it.
    csv.field_size_limit(max(csv.field_size_limit(), options.max_record_bytes))
    with Lines(path, limit=options.max_record_bytes) as lines:
        while True:
            taken: list[Line] = []
            feed = _feed(lines, taken, options.max_record_bytes)
            parser = csv.reader(feed, delimiter=options.delimiter, quotechar=options.quote, strict=True)
            try:
                cells = next(parser)
            except StopIteration:
                return
            except (_TooLong, csv.Error, UnicodeDecodeError) as error:
                number, line = taken[0]
                lines.put_back(taken[1:])
                rule, reason = _why(error, line, len(taken), options)
                raw = None if line is None else line.decode("utf-8", "replace")
                yield reject(f"{path.name}:{number}", rule, reason, raw)
                continue
            if cells:
                yield _Record(f"{path.name}:{taken[0][0]}", cells)


def _feed(lines: Lines, taken: list[Line], limit: int) -> Iterator[str]:
    size = 0
    for number, line in lines:
        taken.append((number, line))
        size += limit + 1 if line is None else len(line)
        if line is None or size > limit or len(taken) > MAX_RECORD_LINES:
            raise _TooLong
        yield line.decode("utf-8")


def _why(error: Exception, line: bytes | None, lines: int, options: CsvOptions) -> tuple[str, str]:
    if line is None:
        return "too_long", f"longer than {options.max_record_bytes:,} bytes"
    try:
        line.decode("utf-8")
    except UnicodeDecodeError as found:
        return "not_utf8", f"is not UTF-8 at byte {found.start}"
    if lines > 1 or "unexpected end" in str(error):
        return "unclosed_quote", "opens a quote that does not close where the record should end"
    return "malformed", str(error)


class _RowReader:
    def __init__(self, path: Path, names: list[str], options: CsvOptions) -> None:
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise IngestError(f"{path}: column {twice[0]!r} stands twice in the header; rename one")
        places = {name: place for place, name in enumerate(names)}
        columns = {"subject": "subject", "label": "label", **options.columns}
        for role, column in columns.items():
            if column not in places:
                hint = nearest(column, names)
                raise IngestError(f"{path}: no column {column!r} for {role}{hint}; set columns.{role}")
        self._options = options
        self._names = names
        self._place = {role: places[column] for role, column in columns.items()}
        prefix = options.probs_prefix
        self._probs = {n.removeprefix(prefix): p for n, p in places.items() if prefix and n.startswith(prefix)}
        try:
            self._zone: tzinfo = UTC if options.time_zone == "UTC" else zoneinfo.ZoneInfo(options.time_zone)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError) as error:
            raise ConfigError(f"csv: unknown time_zone {options.time_zone!r}; use a name as Europe/Berlin") from error

    def item(self, record: _Record) -> Item:
        raw = json.dumps(dict(zip(self._names, record.cells, strict=False)), ensure_ascii=False)
        try:
            if len(record.cells) != len(self._names):
                raise RejectedInputError(
                    "wrong_column_count", f"has {len(record.cells)} columns, the header has {len(self._names)}"
                )
            return self._answer(record, raw if self._options.keep_raw else None)
        except RejectedInputError as error:
            return reject(record.where, error.rule, error.reason, raw)

    def _answer(self, record: _Record, raw: str | None) -> Answer:
        options = self._options
        cells = {role: parse.check_text(record.cells[place], role) for role, place in self._place.items()}
        op = cells.get("op") or ("abstain" if cells["label"] in options.abstain else "assert")
        value = self._value(cells["label"]) if op == "assert" else None
        time = cells.get("time", "")
        if "actor" in cells and not cells["actor"]:
            raise RejectedInputError("empty_actor", "names no actor")
        return Answer(
            actor_id=options.actor_prefix + cells["actor"] if "actor" in cells else options.actor,
            question_id=cells.get("question") or options.question,
            question_version=options.question_version,
            subject_key=cells["subject"],
            subject_kind=options.subject_kind,
            slot=cells.get("slot") or options.slot or self._pool_slot(value),
            op=op,
            value_kind=options.value_kind if value is not None else "none",
            value=value,
            probs=self._probabilities(record.cells),
            confidence=self._optional_number(cells, "confidence"),
            votes=parse.integer(cells["votes"], "votes") if "votes" in cells else 1,
            event_time=parse.instant(time, "time", zone=self._zone, unit=options.time_unit) if time else None,
            event_time_source="source" if time else "unknown",
            source_key=cells.get("id") or None,
            source_version=cells.get("version") or None,
            target_opinion_id=cells.get("target") or None,
            reason=cells.get("reason") or None,
            raw_json=raw,
            where=record.where,
        )

    def _pool_slot(self, value: Value) -> str:
        # Counts of one pool: each label is an answer of its own and must not replace the others.
        return value if "votes" in self._place and isinstance(value, str) else ""

    def _value(self, text: str) -> Value:
        options = self._options
        if options.value_kind == "labels":
            return tuple(parse.label_id(each) for each in text.split(options.separator)) if text else ()
        if options.value_kind == "number":
            return parse.number(text, "value", decimal=options.decimal)
        if options.value_kind == "bool":
            return parse.boolean(text, "value")
        return text if options.value_kind == "text" else parse.label_id(text)

    def _probabilities(self, cells: list[str]) -> dict[str, float] | None:
        if not self._probs:
            return None
        decimal = self._options.decimal
        return {name: parse.number(cells[place], name, decimal=decimal) for name, place in self._probs.items()}

    def _optional_number(self, cells: Mapping[str, str], role: str) -> float | None:
        text = cells.get(role, "")
        return parse.number(text, role, decimal=self._options.decimal) if text else None
