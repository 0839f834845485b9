"""CSV: one answer per row, columns named by options. Text stays text: "007" is a label and no number."""

from __future__ import annotations

import codecs
import functools
import json
import zoneinfo
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from pathlib import Path

from lakehouse.errors import ConfigError, IngestError, RejectedInputError
from lakehouse.names import nearest
from lakehouse.opinions.formats.common import CommonOptions, plain_files, reject
from lakehouse.opinions.formats.csv_hot import LAYOUTS, hot_value
from lakehouse.opinions.formats.csv_records import Dialect, Record, records
from lakehouse.opinions.formats.csv_write import CSV_WRITER
from lakehouse.opinions.formats.format import Format
from lakehouse.opinions.reading import values as parse
from lakehouse.opinions.reading.answer import Answer, Item, Note, Reject, Value

ROLES = (
    "subject", "label", "actor", "question", "votes", "time", "confidence", "slot", "op", "target", "reason",
    "id", "version",
)
KINDS = ("label", "labels", "number", "text", "bool")
TIME_UNITS = ("iso", "s", "ms", "us")
TAB = ("\\t", "tab")
"""How a tab is written on a command line."""
SHOWN_COLUMNS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvOptions(CommonOptions):
    """Options of CSV.

    Attributes:
        columns: Role -> column name. Roles: subject and label (needed), actor, question, votes, time,
            confidence, slot, op, target (of a retraction), reason, id and version (of the source system).
            With votes and no column of slots the slot is the label: the counts of a pool stand side by side.
        value_kind: What the label column holds: label, labels, number, text or bool; with a separator or the
            layout multihot it is labels.
        separator: Between the labels of kind labels; "" is "|".
        layout: "" has one label column; onehot and multihot have one column per class that holds 0 or 1. A
            row of onehot has one 1; of multihot any number: none says that none of the classes applies.
        classes: Columns of the classes, for onehot and multihot; [] takes all that have no role.
        delimiter: Between columns, one character or "tab"; "" takes what divides the first line best.
        encoding: Of the text, for example cp1252.
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
    separator: str = ""
    layout: str = ""
    classes: tuple[str, ...] = ()
    delimiter: str = ""
    encoding: str = "utf-8"
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
                raise ConfigError(f"csv: columns.{role} is no role{nearest(role, ROLES)} (--column {role}=...)")
        for name, value, known in (
            ("value_kind", self.value_kind, KINDS),
            ("time_unit", self.time_unit, TIME_UNITS),
            ("decimal", self.decimal, (".", ",")),
            ("layout", self.layout, LAYOUTS),
        ):
            if value not in known:
                raise ConfigError(f"csv: {name} = {value!r}: must be one of {', '.join(filter(None, known))}")
        if self.delimiter in TAB:
            object.__setattr__(self, "delimiter", "\t")
        if len(self.delimiter) > 1 or len(self.quote) != 1:
            raise ConfigError("csv: delimiter and quote must be one character each")
        if self.layout and "label" in self.columns:
            raise ConfigError(f"csv: layout {self.layout} has a column per class and no label column; leave one out")
        if self.value_kind == "label" and (self.separator or self.layout == "multihot"):
            object.__setattr__(self, "value_kind", "labels")
        if self.layout and self.value_kind != ("label" if self.layout == "onehot" else "labels"):
            raise ConfigError(f"csv: layout {self.layout} has no answers of kind {self.value_kind}")
        try:
            plain = codecs.encode("\n,", self.encoding) == b"\n,"
        except (LookupError, TypeError) as error:
            raise ConfigError(f"csv: encoding {self.encoding!r} is unknown; for example cp1252 or latin-1") from error
        if not plain:
            raise ConfigError(f"csv: encoding {self.encoding!r} does not hold ASCII as it is; save the file as UTF-8")

    def dialect(self) -> Dialect:
        """How records are written."""
        return Dialect(self.delimiter, self.quote, self.encoding, self.max_record_bytes)

    def role_columns(self) -> dict[str, str]:
        """Role -> column name, with those that need not be stated."""
        return {"subject": "subject", **({} if self.layout else {"label": "label"}), **self.columns}


def read_csv(folder: Path, part: str, options: CsvOptions) -> Iterator[Item]:
    """Give one answer or reject per record, and notes; blank lines are no records.

    Raises:
        IngestError: If the file cannot be read, has no header, or a column that the options name is missing.
    """
    path = folder / part if part else folder
    reader: _RowReader | None = None
    for record in records(path, options.dialect(), wanted=options.role_columns().values()):
        if isinstance(record, Note) or (reader is not None and isinstance(record, Reject)):
            yield record
        elif isinstance(record, Reject):
            raise IngestError(f"{path}: the first line cannot be read: {record.rule}: {record.reason}")
        elif reader is None:
            names = [name.strip() for name in record.cells]
            names = names if options.header else [str(place) for place in range(1, len(names) + 1)]
            reader = _RowReader(path, names, options)
            if not options.header:
                yield reader.item(record)
        else:
            yield reader.item(record)
    unread = reader.unread() if reader is not None else []
    if unread:
        text = f"columns that no role names are not read: {', '.join(unread[:SHOWN_COLUMNS])}"
        if roles := " ".join(f"--column {name}={name}" for name in unread if name in ROLES):
            text += f"; if they are what they are called: {roles}"
        yield Note(path.name, "columns_not_read", text)


class _RowReader:
    def __init__(self, path: Path, names: list[str], options: CsvOptions) -> None:
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise IngestError(f"{path}: column {twice[0]!r} stands twice in the header; rename one")
        places = {name: place for place, name in enumerate(names)}
        columns = options.role_columns()
        for role, column in columns.items():
            if column not in places:
                hint = nearest(column, names)
                hot = " (or, with a column per class, --option layout=onehot or multihot)" if role == "label" else ""
                raise IngestError(
                    f"{path}: no column {column!r} for {role}{hint}; say which it is: --column {role}=NAME{hot}"
                )
        self._options = options
        self._names = names
        self._place = {role: places[column] for role, column in columns.items()}
        prefix = options.probs_prefix
        self._classes = self._class_columns(path, places)
        self._probs = {n.removeprefix(prefix): p for n, p in places.items() if prefix and n.startswith(prefix)}
        try:
            self._zone: tzinfo = UTC if options.time_zone == "UTC" else zoneinfo.ZoneInfo(options.time_zone)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError) as error:
            raise ConfigError(f"csv: unknown time_zone {options.time_zone!r}; use a name as Europe/Berlin") from error

    def _class_columns(self, path: Path, places: Mapping[str, int]) -> dict[str, int]:
        if not self._options.layout:
            return {}
        for name in self._options.classes:
            if name not in places:
                raise IngestError(f"{path}: no column {name!r} of `classes`{nearest(name, places)}")
        taken = set(self._place.values())
        found = self._options.classes or [name for name, place in places.items() if place not in taken]
        if len(found) < 2:
            raise IngestError(f"{path}: layout {self._options.layout} needs a column per class, found {list(found)}")
        return {name: places[name] for name in found}

    def unread(self) -> list[str]:
        """Columns that nothing is read from, sorted."""
        read = {*self._place.values(), *self._classes.values(), *self._probs.values()}
        return sorted(name for place, name in enumerate(self._names) if name and place not in read)

    def item(self, record: Record) -> Item:
        raw = json.dumps(dict(zip(self._names, record.cells, strict=False)), ensure_ascii=False)
        try:
            if len(record.cells) != len(self._names):
                raise RejectedInputError(
                    "wrong_column_count", f"has {len(record.cells)} columns, the header has {len(self._names)}"
                )
            return self._answer(record, raw if self._options.keep_raw else None)
        except RejectedInputError as error:
            return reject(record.where, error.rule, error.reason, raw)

    def _answer(self, record: Record, raw: str | None) -> Answer:
        options = self._options
        cells = {role: parse.check_text(record.cells[place], role) for role, place in self._place.items()}
        label = cells.get("label", "")
        op = cells.get("op") or ("abstain" if label.strip() in options.abstain else "assert")
        value = None
        if op == "assert":
            value = self._hot_value(record) if options.layout else self._value(label)
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
        # Counts of one pool: each label is an answer of its own and must not replace the others. A column of slots
        # tells itself which stand beside which, where it is empty too.
        pooled = "votes" in self._place and "slot" not in self._place
        return value if pooled and isinstance(value, str) else ""

    def _hot_value(self, record: Record) -> Value:
        cells = {parse.label_id(name): record.cells[place] for name, place in self._classes.items()}
        return hot_value(cells, self._options.layout)

    def _value(self, text: str) -> Value:
        options = self._options
        if options.value_kind == "labels":
            separator = options.separator or "|"
            return tuple(parse.label_id(each) for each in text.split(separator)) if text.strip() else ()
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


CSV = Format(
    CsvOptions,
    functools.partial(plain_files, pattern="*.csv"),
    read_csv,
    "label",
    endings=(".csv", ".tsv", ".tab"),
    writer=CSV_WRITER,
)
