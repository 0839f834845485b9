"""What is known about a set of annotation files before they are read."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import Any

from lakehouse.errors import ConfigError, RejectedInputError
from lakehouse.names import nearest
from lakehouse.opinions.formats import format_named, format_options
from lakehouse.opinions.matching.subjects import SubjectRule
from lakehouse.opinions.questions import Question, Stated
from lakehouse.opinions.reading import values as parse
from lakehouse.opinions.reading.label_text import MISSING
from lakehouse.opinions.words import MATCHES, REPEATS
from lakehouse.typed import fill
from schemas.opinions import VALUE_COLUMNS


@dataclass(frozen=True, slots=True, kw_only=True)
class OpinionSource:
    """Annotation files that answer one question, and how to read them.

    Attributes:
        name: Stable name; importing again under it tells a correction from a second source. "" makes one of
            source, question and actor.
        format: csv, jsonl, voc or imagefolder.
        path: File or folder.
        question: Question that is answered where a record itself names none.
        actor: Who answers where a record itself names nobody: `kind:name`, kind being human, model
            (`model:name@version`), rule, consensus, import or pool.
        source: Landed source whose files the answers are about; "" looks in all of them.
        early: Whether `source` may not have landed yet: its answers wait then. Else its name must be known.
        match: How subjects are named: auto, path, name, stem, sha256, uri or id; see `SubjectRule`.
        new_question: Whether the question may be new though it looks like a slip of one that the lake knows.
        question_version: Version of the question; a changed meaning is a new version.
        title: The question in words.
        answer_kind: value_kind of the answers; "" takes the format's, for JSON lines what the records hold.
        label_set: Set that the labels belong to; "" names it as the question.
        labels: All labels there are, in the order of class numbers: others are rejected. None: labels are
            learnt from the answers.
        synonyms: Other text -> label.
        missing: Labels that mean that there is none, and are rejected, unless `labels` declares one of that name;
            by default those that pandas takes for missing.
        measurement: nominal, ordinal, interval or ratio.
        abstain_allowed: Whether an actor may decline.
        instructions: What annotators were told.
        geometry_kinds: Kinds of regions that the answers have, others are rejected; none: any.
        keypoints: Names of the keypoints of each object, in order.
        skeleton: Pairs of places in `keypoints`, from 0, that are joined by a line.
        sigmas: How far each keypoint may be off when it is scored.
        valid_time: When undated answers were said; None if nobody knows.
        repeat: What rows are that are equal in everything and carry neither id nor time: event (each counts),
            duplicate (one counts), votes (one row with their number); "" rejects the second one.
        system: Instance of the system that ids in the files belong to.
        project: Project in that system.
        max_rejected_share: Above this share of rejected rows nothing is written; None takes the lake's setting.
        options: Options of the format, for example `columns` of CSV.
        guessed: Flags of the command line that nobody stated and that were guessed; the receipt notes them.
    """

    format: str
    path: str
    question: str
    actor: str
    name: str = ""
    source: str = ""
    early: bool = False
    match: str = "auto"
    new_question: bool = False
    question_version: int = 1
    title: str = ""
    answer_kind: str = ""
    label_set: str = ""
    labels: tuple[str, ...] = ()
    synonyms: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = MISSING
    measurement: str = "nominal"
    abstain_allowed: bool = True
    instructions: str = ""
    geometry_kinds: tuple[str, ...] = ()
    keypoints: tuple[str, ...] = ()
    skeleton: tuple[tuple[int, ...], ...] = ()
    sigmas: tuple[float, ...] = ()
    valid_time: datetime | None = None
    repeat: str = ""
    system: str = ""
    project: str = ""
    max_rejected_share: float | None = None
    options: Mapping[str, object] = field(default_factory=dict)
    guessed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", "/".join(filter(None, (self.source, self.question, self.actor))))
        for key, value, known in (
            ("match", self.match, MATCHES),
            ("repeat", self.repeat, REPEATS),
            ("answer_kind", self.answer_kind, ("", *VALUE_COLUMNS)),
        ):
            if value not in known:
                raise ConfigError(f"opinions {self.name}: {key} = {value!r}{nearest(value, filter(None, known))}")
        if self.valid_time is not None and self.valid_time.tzinfo is None:
            raise ConfigError(f"opinions {self.name}: valid_time {self.valid_time} names no time zone")
        format_options(self.format, self.reader_options())

    def reader_options(self) -> dict[str, object]:
        """Options as the format takes them."""
        common = {"question": self.question, "actor": self.actor, "question_version": self.question_version}
        return common | dict(self.options)

    def asked(self, stated: Stated | None = None) -> Question:
        """The question as this source states it, and its files, where those were asked."""
        found = stated or Stated()
        keypoints = self.keypoints or found.keypoints
        return Question(
            question_id=self.question,
            version=self.question_version,
            title=self.title,
            answer_kind=self.answer_kind or self._format_kind(),
            label_set=self.label_set,
            labels=self.labels,
            synonyms=self.synonyms,
            measurement=self.measurement,
            abstain_allowed=self.abstain_allowed,
            instructions=self.instructions,
            geometry_kinds=self.geometry_kinds,
            # Stated for an import: what its files happen to have limits nobody.
            closed_kinds=bool(self.geometry_kinds),
            keypoints=keypoints,
            skeleton=self.skeleton or (found.skeleton if not self.keypoints else ()),
            sigmas=self.sigmas,
            stated=found,
        )

    def subject_rule(self) -> SubjectRule:
        """How the subjects are found."""
        return SubjectRule(source=self.source, match=self.match)

    def content_options(self) -> dict[str, object]:
        """What decides, beside the files' bytes, which opinions come out."""
        left_out = (
            "path", "name", "early", "title", "instructions", "max_rejected_share", "new_question", "guessed"
        )
        return {
            each.name: getattr(self, each.name)
            for each in dataclasses.fields(self)
            if each.name not in left_out and getattr(self, each.name) not in (None, "", (), {}, MISSING)
        } | ({} if self.missing else {"missing": ()})

    def _format_kind(self) -> str:
        checked = format_options(self.format, self.reader_options())
        return str(getattr(checked, "value_kind", "") or format_named(self.format).value_kind)


def opinion_source_from(record: Mapping[str, object], *, where: str) -> OpinionSource:
    """Read a source from a TOML table `[[opinions]]`; options of the format stand beside the others.

    Raises:
        ConfigError: If a key is unknown or missing, or a value has the wrong type.
    """
    own = {each.name for each in dataclasses.fields(OpinionSource)} - {"options", "guessed"}
    name = record.get("format")
    if not isinstance(name, str):
        raise ConfigError(f"{where}: `format` is missing; give csv, jsonl, voc or imagefolder")
    of_format = {each.name for each in dataclasses.fields(format_named(name).options)}
    for key in record:
        if key not in own | of_format:
            raise ConfigError(f"{where}: unknown key `{key}`{nearest(key, own | of_format)}")
    stated = {key: value for key, value in record.items() if key in own}
    if "valid_time" in stated:
        stated["valid_time"] = _instant(stated["valid_time"], where)
    read = fill(OpinionSource, stated, where=where, word="option")
    return dataclasses.replace(read, options={key: value for key, value in record.items() if key not in own})


def option_types(format_name: str) -> dict[str, Any]:
    """Return option -> type of everything that a source of this format may be told.

    Raises:
        ConfigError: If there is no such format.
    """
    hints = typing.get_type_hints(OpinionSource) | typing.get_type_hints(format_named(format_name).options)
    return {name: hint for name, hint in hints.items() if name not in ("options", "guessed", "name", "format", "path")}


def _instant(value: object, where: str) -> datetime:
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return datetime.combine(value, time(), UTC)
    try:
        return parse.instant(str(value), "valid_time")
    except RejectedInputError as error:
        raise ConfigError(f"{where}: {error.reason}") from error
