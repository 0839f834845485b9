"""JSON lines: one answer per line, every column of silver.opinions by its name. Also how predictions travel.

    {"subject": "test/cat/0000.jpg", "actor": "human:ann", "label": "cat", "event_time": "2024-05-01T10:00:00Z"}
    {"subject_id": "9f3c...", "actor_id": "model:cnn@3", "label": "cat", "probs": {"cat": 0.9, "dog": 0.1}}
    {"subject": "a.jpg", "regions": []}
    {"subject": "a.jpg", "op": "abstain"}

The value is the one among label, labels, number, text, bool, regions, spans and ranking that is there; a line with
probs alone answers with the most probable label.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar, cast

from lakehouse.errors import ConfigError, RejectedInputError
from lakehouse.names import nearest
from lakehouse.opinions.formats.common import CommonOptions, Lines, plain_files, reject
from lakehouse.opinions.formats.format import Format
from lakehouse.opinions.formats.jsonl_write import JSONL_WRITER
from lakehouse.opinions.reading import values as parse
from lakehouse.opinions.reading.answer import Answer, Frame, Item, Note, Region, Value, most_probable
from lakehouse.opinions.reading.strict_json import clean_texts, strict_loads

MAX_LINE_BYTES = 1 << 26
VALUES = ("label", "labels", "number", "text", "bool", "regions", "spans", "ranking")
ALIASES = {"subject": "subject_key", "actor": "actor_id", "question": "question_id", "subject_id": "subject_key"}
IGNORED = {"row_hash", "value_hash", "ingest_time", "ingest_seq", "batch_id"}
"""Columns that a lake makes itself; an export may carry them."""
TEXTS = (
    "subject_key", "actor_id", "question_id", "subject_kind", "slot", "op", "source_key", "source_version",
    "target_opinion_id", "reason", "value_ref", "raw_json", "opinion_id",
)
OTHERS = (
    "question_version", "value_kind", "probs", "confidence", "votes", "event_time", "event_time_source",
    "supersedes", "frame_w", "frame_h", "exif_orientation", "ext",
)
ROLES = {"time": "event_time", "id": "source_key", "version": "source_version", "target": "target_opinion_id"}
"""Roles as CSV calls them -> column."""
SHOWN_KEYS = 10
KNOWN = (*VALUES, *ALIASES, *TEXTS, *OTHERS, *IGNORED)

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonlOptions(CommonOptions):
    """Options of JSON lines.

    Attributes:
        columns: Role -> key, where a line calls something otherwise: subject, label, actor, time, id ... or any
            column of silver.opinions. A key inside an object is written with dots: meta.file. With it keys that
            are neither named nor columns are not read; without it they are rejected.
        actor_prefix: Put before an actor that a line names.
        keep_raw: Keep every line in `raw_json` (unless the line has a `raw_json` of its own).
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    actor_prefix: str = ""
    keep_raw: bool = False

    def __post_init__(self) -> None:
        for role in self.columns:
            if role not in ROLES and role not in KNOWN:
                raise ConfigError(
                    f"jsonl: columns.{role} is no role{nearest(role, (*ROLES, *KNOWN))} (--column {role}=...)"
                )


def read_jsonl(path: Path, part: str, options: JsonlOptions) -> Iterator[Item]:
    """Give one answer or reject per line; blank lines are no records.

    Raises:
        IngestError: If the file cannot be read or is UTF-16.
    """
    file = path / part if part else path
    unread: set[str] = set()
    with Lines(file, limit=MAX_LINE_BYTES) as lines:
        for number, line in lines:
            where = f"{file.name}:{number}"
            if line is None:
                yield reject(where, "too_long", f"longer than {MAX_LINE_BYTES:,} bytes")
            elif line.strip():
                yield line_item(line, where, options, unread)
    if unread:
        keys = ", ".join(sorted(unread)[:SHOWN_KEYS])
        yield Note(file.name, "keys_not_read", f"keys that no column names are not read: {keys}")


def line_item(line: bytes, where: str, options: JsonlOptions, unread: set[str]) -> Item:
    """Return the answer that one line states, or why it states none; keys that are not read go to `unread`."""
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        return reject(where, "not_utf8", f"is not UTF-8 at byte {error.start}", line.decode("utf-8", "replace"))
    try:
        record = strict_loads(text)
        clean_texts(record)
        if not isinstance(record, dict):
            raise RejectedInputError("not_an_object", f"must be an object, found {type(record).__name__}")
        if options.columns:
            record = _renamed(record, options.columns, unread)
        return answer_from(record, options, where=where, raw=text.strip() if options.keep_raw else None)
    except RejectedInputError as error:
        return reject(where, error.rule, error.reason, text)


def key_value(record: Mapping[str, object], key: str) -> object:
    """Return what a record holds under a key, or under a path of keys with dots; None if nothing."""
    if key in record:
        return record[key]
    head, dot, rest = key.partition(".")
    inner = record.get(head)
    return key_value(inner, rest) if dot and isinstance(inner, Mapping) else None


def _renamed(record: Mapping[str, object], columns: Mapping[str, str], unread: set[str]) -> dict[str, object]:
    roots = {key if key in record else key.partition(".")[0] for key in columns.values()}
    named = {ROLES.get(role, role): key_value(record, key) for role, key in columns.items()}
    others = {key: value for key, value in record.items() if key not in roots}
    unread.update(key for key in others if key not in KNOWN)
    for name in named:
        if name in others and others[name] is not None:
            raise RejectedInputError("duplicate_key", f"has {name} under its own name and under another key")
    return {key: value for key, value in others.items() if key in KNOWN} | named


def answer_from(
    record: Mapping[str, object], options: JsonlOptions, *, where: str, raw: str | None = None
) -> Answer:
    """Return the answer that one parsed record states.

    Raises:
        RejectedInputError: If a key is unknown, a type is wrong, or the value is missing or ambiguous.
    """
    fields = {ALIASES.get(key, key): value for key, value in record.items() if value is not None}
    for key in record:
        if key not in KNOWN:
            raise RejectedInputError(
                "unknown_key", f"has unknown key {key!a:.80}{nearest(key, KNOWN)}; if it holds one of them under "
                f"another name, say so: --column subject={key!a:.80}"
            )
    if len({ALIASES.get(key, key) for key in record}) < len(record):
        raise RejectedInputError("duplicate_key", "names subject, actor or question twice")
    texts: dict[str, Any] = {name: _typed(fields[name], str, name) for name in TEXTS if name in fields}
    if "subject_key" not in texts:
        raise RejectedInputError("no_subject", "names no subject; say which key does: --column subject=KEY")
    if "actor_id" in texts:
        texts["actor_id"] = options.actor_prefix + texts["actor_id"]
    else:
        texts["actor_id"] = options.actor
    texts.setdefault("question_id", options.question)
    texts.setdefault("subject_kind", options.subject_kind)
    texts.setdefault("slot", options.slot)
    if raw is not None:
        texts.setdefault("raw_json", raw)
    probs = _mapping(fields, "probs", _number)
    kind, value = _value(fields)
    if kind == "none" and probs and fields.get("op", "assert") == "assert":
        kind, value = "label", most_probable(probs)
    time = _time(fields.get("event_time"))
    source = _typed(fields.get("event_time_source", "source"), str, "event_time_source")
    return Answer(
        **texts,
        value_kind=kind,
        value=value,
        question_version=_typed(fields.get("question_version", options.question_version), int, "question_version"),
        probs=probs,
        confidence=_number(fields["confidence"], "confidence") if "confidence" in fields else None,
        votes=_typed(fields.get("votes", 1), int, "votes"),
        event_time=time,
        event_time_source=source if time else "unknown",
        supersedes=_texts(fields.get("supersedes", []), "supersedes"),
        frame=_frame(fields),
        ext=_mapping(fields, "ext", lambda item, name: _typed(item, str, name)) or {},
        where=where,
    )


def _frame(fields: Mapping[str, object]) -> Frame:
    width, height, turn = (_optional_int(fields, name) for name in ("frame_w", "frame_h", "exif_orientation"))
    return Frame(width, height, turn)


def _value(fields: Mapping[str, object]) -> tuple[str, Value]:
    stated = [name for name in VALUES if name in fields]
    kind = _typed(fields["value_kind"], str, "value_kind") if "value_kind" in fields else None
    if kind in ("regions", "spans") and "labels" in stated:
        stated.remove("labels")
    if kind == "spans" and "regions" in stated:
        stated[stated.index("regions")] = "spans"
        fields = {**fields, "spans": fields["regions"]}
    if kind == "bool" and "number" in stated:
        stated[stated.index("number")] = "bool"
        fields = {**fields, "bool": fields["number"] == 1}
    if len(stated) > 1:
        raise RejectedInputError("several_values", f"has several values: {', '.join(stated)}; one per line")
    if not stated:
        return ("embedding", None) if kind == "embedding" else ("none", None)
    found = stated[0]
    if kind is not None and kind != found:
        raise RejectedInputError("wrong_kind", f"says value_kind {kind!a:.40} and has {found}")
    value = fields[found]
    if found in ("label", "text"):
        text = _typed(value, str, found)
        return found, parse.label_id(text) if found == "label" else text
    if found == "number":
        return found, _number(value, found)
    if found == "bool":
        return found, _typed(value, bool, found)
    if found in ("regions", "spans"):
        return found, tuple(_region(item) for item in _typed(value, list, found))
    texts = _texts(value, found)
    return found, tuple(parse.label_id(text) for text in texts) if found == "labels" else texts


def _region(value: object) -> Region:
    import pyarrow as pa

    from schemas.opinions import REGION

    record = {name: item for name, item in _typed(value, dict, "region").items() if item is not None}
    for name in record:
        if REGION.get_field_index(name) < 0:
            raise RejectedInputError("unknown_key", f"region has unknown key {name!a:.80}")
    if "kind" not in record:
        raise RejectedInputError("no_region_kind", "region names no kind (box, polygon, mask, interval, span ...)")
    try:
        # Arrow refuses what the table could not hold: text for numbers, fractions for counts.
        held = cast(dict[str, Any], pa.scalar(record, REGION).as_py(maps_as_pydicts="strict"))
    except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError, ValueError, OverflowError) as error:
        raise RejectedInputError("bad_region", f"region does not fit: {error}") from error
    stated = {name: item for name, item in held.items() if item is not None}
    for name in ("points", "part_sizes"):
        if name in stated:
            stated[name] = tuple(stated[name])
    if "label" in stated:
        stated["label"] = parse.label_id(stated["label"])
    return Region(**stated)


def _time(value: object) -> datetime | None:
    return None if value is None else parse.instant(_typed(value, str, "event_time"), "event_time")


def _typed(value: object, kind: type[T], name: str) -> T:
    if type(value) is not kind:
        raise RejectedInputError("wrong_type", f"{name} must be {kind.__name__}, found {type(value).__name__}")
    return value


def _number(value: object, name: str) -> float:
    return float(_typed(value, int, name)) if type(value) is int else parse.finite(_typed(value, float, name), name)


def _optional_int(fields: Mapping[str, object], name: str) -> int | None:
    return _typed(fields[name], int, name) if name in fields else None


def _texts(value: object, name: str) -> tuple[str, ...]:
    return tuple(_typed(item, str, name) for item in _typed(value, list, name))


def _mapping(fields: Mapping[str, Any], name: str, read: Callable[[object, str], T]) -> dict[str, T] | None:
    if name not in fields:
        return None
    return {key: read(item, f"{name}[{key!a}]") for key, item in _typed(fields[name], dict, name).items()}


JSONL = Format(
    JsonlOptions,
    functools.partial(plain_files, pattern="*.jsonl"),
    read_jsonl,
    "",
    endings=(".jsonl", ".ndjson"),
    writer=JSONL_WRITER,
)
