"""Writing CSV: one row for each answer, under the names that reading it takes for their roles."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lakehouse.errors import ConfigError
from lakehouse.opinions.formats.losing import Loss
from lakehouse.opinions.formats.writer import Ontology, Place, Said, Writer
from lakehouse.opinions.reading.answer import Answer

COLUMNS = ("subject", "label", "actor", "question", "slot", "op", "votes", "time", "confidence", "reason")
RECOGNISED = frozenset(COLUMNS) - {"votes"}
"""By these columns a file of ours is known; `votes` is left out where every answer has one."""

HOLDS = ("label", "labels", "number", "text", "bool")
LOST = ("probs", "value_ref", "supersedes")


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvWriting:
    """Options of writing CSV.

    Attributes:
        separator: Between the labels of kind labels; no label may have it.
        delimiter: Between columns.
        ids: Whether the subject is its entity id; else its path in its source.
    """

    separator: str = "|"
    delimiter: str = ","
    ids: bool = False

    def __post_init__(self) -> None:
        if len(self.delimiter) != 1 or not self.separator:
            raise ConfigError("csv: delimiter must be one character, separator one or more")


def lost_in_csv(said: Said, _options: CsvWriting) -> Iterator[Loss]:
    """Yield what has no column: probabilities, references and what a source said that it replaces."""
    for name in LOST:
        if value := getattr(said.answer, name):
            yield name, f"{said.subject.name}: {name} = {value}"
    if said.answer.frame.width is not None:
        yield "frame", f"{said.subject.name}: the frame of {said.answer.frame.width} x {said.answer.frame.height} px"


def write_csv(said: Iterable[Said], place: Place, _ontology: Ontology, options: CsvWriting) -> None:
    """Write one row for each answer, UTF-8; votes only where some answer has several.

    `petrel opinions import` knows its columns by their names; elsewhere `--column actor=actor` and so on name them.

    Raises:
        ConfigError: If a label has the separator in it.
    """
    place.write("", _rows(said, options))


def _rows(said: Iterable[Said], options: CsvWriting) -> Iterator[bytes]:
    counted = any(each.answer.votes != 1 for each in said)
    yield _line([name for name in COLUMNS if counted or name != "votes"], options)
    for each in said:
        answer = each.answer
        time = answer.event_time if answer.event_time_source == "source" else None
        yield _line(
            (
                each.subject.entity_id if options.ids else each.subject.name, _cell(answer, options), answer.actor_id,
                answer.question_id, answer.slot, answer.op, *([str(answer.votes)] if counted else []),
                time.isoformat() if time else "", "" if answer.confidence is None else repr(answer.confidence),
                answer.reason or "",
            ),
            options,
        )  # fmt: skip


def _cell(answer: Answer, options: CsvWriting) -> str:
    value = answer.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        labels = [str(each) for each in value]
        for label in labels:
            if options.separator in label:
                raise ConfigError(
                    f"csv: label {label!r} has the separator {options.separator!r} in it; give another one: "
                    "--option separator=;"
                )
        return options.separator.join(labels)
    return repr(value) if isinstance(value, float) else str(value)


def _line(cells: Iterable[str], options: CsvWriting) -> bytes:
    text = io.StringIO()
    # Characters of the line end are quoted: a lone \r must be, though our lines end in \n.
    csv.writer(text, delimiter=options.delimiter, lineterminator="\r\n").writerow(list(cells))
    return text.getvalue().removesuffix("\r\n").encode() + b"\n"


CSV_WRITER = Writer(CsvWriting, HOLDS, lost_in_csv, write_csv, one_each=False, abstains=True)
