"""One answer as a source states it, before we know which entity it is about; and what did not become one."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from operator import attrgetter

Value = str | float | bool | tuple[str, ...] | tuple["Region", ...] | None

OPS = ("assert", "retract", "abstain")


@dataclass(frozen=True, slots=True)
class Region:
    """One region: a box, a polygon, a mask, an interval, a span of text. Units: see `schemas.opinions.REGION`.

    Fields that do not apply are None.
    """

    kind: str
    label: str | None = None
    region_id: str | None = None
    score: float | None = None
    x: float | None = None
    y: float | None = None
    w: float | None = None
    h: float | None = None
    angle: float | None = None
    points: tuple[Mapping[str, float | int | None], ...] | None = None
    part_sizes: tuple[int, ...] | None = None
    closed: bool | None = None
    mask_encoding: str | None = None
    mask_counts: str | None = None
    mask_ref: str | None = None
    mask_h: int | None = None
    mask_w: int | None = None
    area: float | None = None
    t_start: float | None = None
    t_end: float | None = None
    frame_start: int | None = None
    frame_end: int | None = None
    channel: int | None = None
    char_start: int | None = None
    char_end: int | None = None
    track_id: str | None = None
    parent_region_id: str | None = None
    iscrowd: bool | None = None
    attrs: Mapping[str, str] | None = None

    def record(self) -> dict[str, object]:
        """What is stated, by field name."""
        stated = zip(REGION_FIELDS, region_values(self), strict=True)
        return {name: value for name, value in stated if value is not None}


REGION_FIELDS = tuple(f.name for f in dataclasses.fields(Region))
region_values = attrgetter(*REGION_FIELDS)
"""From a region to its fields, in the order of `REGION_FIELDS`."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The frame that geometry refers to: size in px and the EXIF orientation (1 to 8) that was applied.

    `relative`: geometry is in shares of the frame, 0 to 1, until the picture is known; never so in an opinion.
    """

    width: int | None = None
    height: int | None = None
    exif_orientation: int | None = None
    relative: bool | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of one actor to one question about one subject.

    Attributes:
        actor_id: `kind:name`, of a model `model:name@version`.
        question_id: What was asked.
        subject_key: The subject as the source names it: path, file name, SHA-256 or entity id.
        value: str for label, text and embedding (its URI); tuple of str for labels and ranking; float for
            number; bool for bool; tuple of Region for regions and spans; None for none.
        value_kind: See `schemas.opinions.VALUE_COLUMNS`.
        event_time: When it was said, with zone; None if the source does not tell.
        source_key: Id in the source system; with it the id of the opinion is made of it.
        source_version: Version or time of change that the source gives with its id.
        opinion_id: Id that another lake gave to this very opinion; None means that we make it.
        where: file:line, for messages.
        stands_beside: Whether other answers of its actor about the same subject in the same source stand beside it,
            each in a slot of its own; else the later one holds.
        folders: Folders in which the source says, or where it lies suggests, that the subject is: they decide
            between several of one name.
        notes: Rule -> what is remarkable about an answer that is taken all the same. The rules stand in
            `ext['flags']` of the opinion; the receipt counts them with an example. Said of it, not by it.
    """

    actor_id: str
    question_id: str
    subject_key: str
    value: Value = None
    value_kind: str = "label"
    question_version: int = 1
    subject_kind: str = "image"
    slot: str = ""
    op: str = "assert"
    probs: Mapping[str, float] | None = None
    confidence: float | None = None
    votes: int = 1
    event_time: datetime | None = None
    event_time_source: str = "source"
    source_key: str | None = None
    source_version: str | None = None
    supersedes: tuple[str, ...] = ()
    target_opinion_id: str | None = None
    reason: str | None = None
    frame: Frame = field(default_factory=Frame)
    value_ref: str | None = None
    raw_json: str | None = None
    ext: Mapping[str, str] = field(default_factory=dict)
    opinion_id: str | None = None
    where: str = ""
    stands_beside: bool = False
    folders: tuple[str, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)


ANSWER_DEFAULTS = tuple(
    (each.name, each.default if each.default_factory is dataclasses.MISSING else each.default_factory())
    for each in dataclasses.fields(Answer)
)
"""Field name -> what it holds when nothing is stated."""


@dataclass(frozen=True, slots=True)
class Reject:
    """One record of a source that is not an answer.

    Attributes:
        where: file:line.
        rule: Short stable name of the rule.
        reason: One sentence for a person.
        raw: The record's own text, cut.
    """

    where: str
    rule: str
    reason: str
    raw: str | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """Something a person should know about a source as a whole; counts as no record.

    Attributes:
        where: File or folder.
        rule: Short stable name: the receipt counts notes by it and shows the first text.
        text: One sentence for a person.
    """

    where: str
    rule: str
    text: str


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts that one file contributes to a judgement about the whole source; counts as no record."""

    counts: Mapping[str, int]


Item = Answer | Reject | Note | Tally


def most_probable(probs: Mapping[str, float]) -> str:
    """Return the label with the highest probability; of equal ones the first by code point."""
    return min(probs, key=lambda label: (-probs[label], label))


def answer_record(answer: Answer) -> dict[str, object]:
    """Return the answer as JSON-ready fields, without those that hold their default; `read_record` undoes it."""
    record: dict[str, object] = {}
    for name, default in ANSWER_DEFAULTS:
        value = getattr(answer, name)
        if name == "notes" or value is default or value == default:
            continue
        record[name] = _plain(value)
    return record


def read_record(record: Mapping[str, object]) -> Answer:
    """Return the answer that `answer_record` wrote."""
    values = dict(record)
    if "event_time" in values:
        values["event_time"] = datetime.fromisoformat(str(values["event_time"])).astimezone(UTC)
    if isinstance(frame := values.get("frame"), Mapping):
        values["frame"] = Frame(**frame)
    for name in ("supersedes", "folders"):
        if isinstance(found := values.get(name), list):
            values[name] = tuple(found)
    if isinstance(value := values.get("value"), list):
        kind = values.get("value_kind")
        values["value"] = tuple(map(_region, value)) if kind in ("regions", "spans") else tuple(value)
    return Answer(**values)  # type: ignore[arg-type]


def _plain(value: object) -> object:
    if isinstance(value, Region):
        return value.record()
    if isinstance(value, Frame):
        return dataclasses.asdict(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return dict(value)
    return value.isoformat() if isinstance(value, datetime) else value


def _region(record: Mapping[str, object]) -> Region:
    values = dict(record)
    for name in ("points", "part_sizes"):
        if isinstance(found := values.get(name), list):
            values[name] = tuple(found)
    return Region(**values)  # type: ignore[arg-type]
