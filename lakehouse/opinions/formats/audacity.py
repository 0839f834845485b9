"""Audacity's label tracks: start, end and label of a stretch of sound, in seconds, separated by tabs.

A label at a point has start = end; a line that begins with a backslash holds the lower and upper frequency of the label
before it, in Hz (https://manual.audacityteam.org/man/importing_and_exporting_labels.html).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lakehouse.errors import ConfigError, RejectedInputError
from lakehouse.opinions.formats.common import CommonOptions, Lines, plain_files, reject
from lakehouse.opinions.formats.format import Format
from lakehouse.opinions.formats.losing import Loss, lost_fields, other_kinds
from lakehouse.opinions.formats.names import one_name_each
from lakehouse.opinions.formats.writer import Ontology, Place, Said, Writer
from lakehouse.opinions.reading import values as parse
from lakehouse.opinions.reading.answer import Item, Region

MAX_LINE_BYTES = 1 << 16
WHATS = ("label", "text")
LOW, HIGH = "frequency_low", "frequency_high"
"""Attributes of a region, Hz."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AudacityOptions(CommonOptions):
    """Options of Audacity's labels.

    Attributes:
        subject: Name of the recording; "" takes the file's own without its ending, as `auto` finds it.
        what: label: what stands there is a label; text: it is what was said, kept as an attribute.
        decimal: "." or ",".
    """

    subject_kind: str = "audio"
    subject: str = ""
    what: str = "label"
    decimal: str = "."

    def __post_init__(self) -> None:
        for name, value, known in (("what", self.what, WHATS), ("decimal", self.decimal, (".", ","))):
            if value not in known:
                raise ConfigError(f"audacity: {name} = {value!r}: must be one of {' or '.join(known)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class AudacityWriting:
    """Options of writing Audacity's labels: none."""


def read_audacity(path: Path, part: str, options: AudacityOptions) -> Iterator[Item]:
    """Give the one answer of a file: its stretches; one bad line rejects it, as the rest would be another answer."""
    file = path / part if part else path
    regions: list[Region] = []
    try:
        with Lines(file, limit=MAX_LINE_BYTES) as lines:
            for number, line in lines:
                _add(line, number, regions, options)
    except RejectedInputError as error:
        yield reject(file.name, error.rule, error.reason)
        return
    yield options.answer(options.subject or file.stem, tuple(regions), where=file.name)


def lost_in_audacity(said: Said, _options: AudacityWriting) -> Iterator[Loss]:
    """Yield what a label track has no place for."""
    yield from other_kinds(said, ("interval",))
    yield from lost_fields(said, region=("t_start", "t_end"))
    for each in said.regions:
        attrs = dict(each.attrs or {})
        for name in (LOW, HIGH, *(() if each.label else ("text",))):
            attrs.pop(name, None)
        for name, text in attrs.items():
            yield "attrs", f"{said.subject.name}: {name} = {text} of an interval"
        if any(mark in (each.label or (each.attrs or {}).get("text", "")) for mark in "\t\n\r"):
            yield "blanks", f"{said.subject.name}: tabs and line ends of a label become blanks"


def write_audacity(said: Iterable[Said], place: Place, ontology: Ontology, _options: AudacityWriting) -> None:
    """Write one label track for each recording, called as it is."""
    names = one_name_each((each.subject.name for each in said), ".txt")
    for each in said:
        lines = (line for region in each.regions for line in _lines(region, ontology))
        place.write(names[each.subject.name], "".join(lines).encode())


def _add(line: bytes | None, number: int, regions: list[Region], options: AudacityOptions) -> None:
    if line is None:
        raise RejectedInputError("too_long", f"line {number} is longer than {MAX_LINE_BYTES:,} bytes")
    try:
        text = line.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise RejectedInputError("not_utf8", f"line {number} is not UTF-8") from error
    if not text.strip():
        return
    cells = text.split("\t")
    if cells[0] == "\\":
        if not regions or len(cells) < 3:
            raise RejectedInputError("bad_frequencies", f"line {number} has frequencies of no label, or not two")
        low, high = (_number(cell, number, options) for cell in cells[1:3])
        attrs = {**(regions[-1].attrs or {}), LOW: f"{low:.10g}", HIGH: f"{high:.10g}"}
        regions[-1] = dataclasses.replace(regions[-1], attrs=attrs)
        return
    if len(cells) < 2:
        raise RejectedInputError("wrong_column_count", f"line {number} has no tab between start and end")
    start, end = (_number(cell, number, options) for cell in cells[:2])
    if end < start:
        raise RejectedInputError("inverted_interval", f"line {number} ends before it begins: {start:g} to {end:g}")
    said = parse.check_text("\t".join(cells[2:]), "label")
    is_label = options.what == "label" and said.strip()
    regions.append(Region(
        kind="interval", t_start=start, t_end=end, label=parse.label_id(said) if is_label else None,
        attrs={"text": said} if said and not is_label else None,
    ))  # fmt: skip


def _number(text: str, line: int, options: AudacityOptions) -> float:
    return parse.number(text, f"line {line}", decimal=options.decimal)


def _lines(region: Region, ontology: Ontology) -> Iterator[str]:
    if region.kind != "interval":
        return
    attrs = region.attrs or {}
    text = ontology.name(region.label) or attrs.get("text", "")
    plain = " ".join(text.replace("\t", " ").splitlines())
    yield f"{region.t_start or 0.0:.6f}\t{region.t_end or 0.0:.6f}\t{plain}\n"
    if LOW in attrs and HIGH in attrs:
        yield f"\\\t{float(attrs[LOW]):.6f}\t{float(attrs[HIGH]):.6f}\n"


AUDACITY = Format(
    AudacityOptions,
    functools.partial(plain_files, pattern="*.txt"),
    read_audacity,
    "regions",
    one_each=True,
    writer=Writer(AudacityWriting, ("regions",), lost_in_audacity, write_audacity),
)
