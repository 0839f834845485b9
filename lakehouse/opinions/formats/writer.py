"""What writes a format of annotation files: what it is handed, and where it puts what it makes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from lakehouse.errors import ConfigError
from lakehouse.opinions.reading.answer import Answer, Region

SHOWN = 5


@dataclass(frozen=True, slots=True)
class Subject:
    """What an answer is about.

    Attributes:
        entity_id: SHA-256 of its bytes.
        name: Path at which it landed, relative to its source; of several the first by code point.
        uri: Where it landed.
        media_type: What it is.
        width: Of the stored picture, before any EXIF turn, px; None: not measured.
        height: Of the stored picture, px.
        orientation: EXIF orientation, 1 to 8; None: not stated or not measured.
        channels: Bands of a picture; None: not measured.
        duration: Of a recording, seconds; None: not measured.
        content: Gives its bytes; None: nobody holds them (a clip, a frame).
    """

    entity_id: str
    name: str
    uri: str = ""
    media_type: str = ""
    width: int | None = None
    height: int | None = None
    orientation: int | None = None
    channels: int | None = None
    duration: float | None = None
    content: Callable[[], bytes] | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Said:
    """One answer that is exported, and what it is about."""

    answer: Answer
    subject: Subject

    @property
    def regions(self) -> tuple[Region, ...]:
        """The regions of the answer; () of another kind."""
        value = self.answer.value
        return tuple(each for each in value if isinstance(each, Region)) if isinstance(value, tuple) else ()

    @property
    def size(self) -> tuple[int | None, int | None]:
        """Width and height of the stored picture, px: as measured, else as the answer states its frame."""
        if self.subject.width is not None and self.subject.height is not None:
            return self.subject.width, self.subject.height
        return self.answer.frame.width, self.answer.frame.height


@dataclass(frozen=True, slots=True)
class Ontology:
    """What a question asks for.

    Attributes:
        labels: Label ids in the order of their class numbers; a merged label is not among them.
        names: Label id -> name for people.
        export_ids: Format -> label id -> its id there.
        numbers: Label id -> class number; gaps are labels that were merged away.
        parents: Label id -> the more general label, of those that have one.
        keypoints: Names of keypoints, in order.
        skeleton: Pairs of places in `keypoints`, counted from 0.
    """

    labels: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    export_ids: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    numbers: Mapping[str, int] = field(default_factory=dict)
    parents: Mapping[str, str] = field(default_factory=dict)
    keypoints: tuple[str, ...] = ()
    skeleton: tuple[tuple[int, int], ...] = ()

    def name(self, label: str | None) -> str:
        """Return the name of a label; "" of none."""
        return "" if label is None else self.names.get(label, label)


class ClassNumbers(dict[str, int]):
    """Label -> its number in a format; a label without one is an error that names it."""

    def __missing__(self, label: str) -> int:
        known = ", ".join(sorted(self)[:SHOWN]) or "none"
        raise ConfigError(
            f"label {label!r} is in no label set of its question (which has {known}), so that it has no number: add it "
            "with `petrel labels add`, or export jsonl"
        )


class Place(Protocol):
    """A new folder or file that becomes visible when all of it is written."""

    def write(self, name: str, data: bytes | Iterable[bytes]) -> None:
        """Write one file.

        Args:
            name: Relative to the place, with `/`; "" makes the place itself a file.
            data: Its bytes, whole or piece by piece.

        Raises:
            ConfigError: If the name leaves the place, or was written before.
        """
        ...


@dataclass(frozen=True, slots=True)
class Writer:
    """How a format is written.

    Attributes:
        options: Frozen dataclass of its options.
        holds: Kinds of values (`value_kind`) that it can say.
        losses: Of one answer what it cannot say, as (rule, text for a person); all are told before anything is
            written.
        write: Writes all answers, given in the order of their subjects' names, those about one subject one after the
            other. It may go through them several times.
        one_each: Whether it holds one answer about a subject and nobody who gave it: then one actor must be named.
        abstains: Whether it can say that somebody declined to answer; else such answers are left out and counted.
        several: Whether it holds answers to several questions side by side.
        beside: Kinds of values of which it holds several of one actor about one subject all the same, as captions.
        left_out: Whether an answer that says something would be written as if it said that nothing is there: such an
            answer is left out, and counted. None: where none of its regions is written (`writes`).
        writes: Of one region, whether it is written at all. None: each is, or `left_out` says.
        as_said: Whether it keeps the very labels that were said; else those that stand for merged ones are written.
    """

    options: type[Any]
    holds: tuple[str, ...]
    losses: Callable[[Said, Any], Iterable[tuple[str, str]]]
    write: Callable[[Iterable[Said], Place, Ontology, Any], None]
    one_each: bool = True
    abstains: bool = False
    several: bool = False
    beside: tuple[str, ...] = ()
    as_said: bool = False
    left_out: Callable[[Said, Any], bool] | None = None
    writes: Callable[[Region, Any], bool] | None = None

    def leaves_out(self, said: Said, options: Any) -> bool:
        """Return whether an answer has regions of which none would be written: that would say that nothing is there."""
        if self.left_out is not None:
            return self.left_out(said, options)
        regions = said.regions
        return bool(regions) and self.writes is not None and not any(self.writes(each, options) for each in regions)
