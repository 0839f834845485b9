"""Praat's TextGrid: tiers of intervals or points over one recording.

Intervals of a tier follow each other without a gap: one without text is the space between, and no label.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from lakehouse.errors import ConfigError, RejectedInputError
from lakehouse.opinions.formats.common import CommonOptions, plain_files, reject
from lakehouse.opinions.formats.format import Format
from lakehouse.opinions.formats.losing import Loss, lost_fields, other_kinds
from lakehouse.opinions.formats.names import one_name_each
from lakehouse.opinions.formats.textgrid_text import Grid, Tier, grid_text, read_grid
from lakehouse.opinions.formats.writer import Ontology, Place, Said, Writer
from lakehouse.opinions.reading import values as parse
from lakehouse.opinions.reading.answer import Item, Region
from lakehouse.opinions.reading.whole import whole_bytes

MAX_BYTES = 64 << 20
WHATS = ("label", "text")


@dataclass(frozen=True, slots=True, kw_only=True)
class TextGridOptions(CommonOptions):
    """Options of TextGrids.

    Attributes:
        subject: Name of the recording; "" takes the file's own without its ending, as `auto` finds it.
        tiers: Tier -> question. A file with one tier answers `question`; of several each is `question.tier`, unless
            it is named here.
        what: label: texts are labels; text: they are what was said, kept as attributes.
        encoding: Of files without a byte order mark.
    """

    subject_kind: str = "audio"
    subject: str = ""
    tiers: Mapping[str, str] = field(default_factory=dict)
    what: str = "label"
    encoding: str = "utf-8"

    def __post_init__(self) -> None:
        if self.what not in WHATS:
            raise ConfigError(f"textgrid: what must be label or text, found {self.what!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TextGridWriting:
    """Options of writing TextGrids.

    Attributes:
        tier: Name of the tier; "" takes the question.
    """

    tier: str = ""


def read_textgrid(path: Path, part: str, options: TextGridOptions) -> Iterator[Item]:
    """Give one answer for each name of a tier; a file that cannot be read is one reject."""
    file = path / part if part else path
    try:
        data = whole_bytes(file, most=MAX_BYTES)
        if len(data) > MAX_BYTES:
            raise RejectedInputError("too_long", f"has more than {MAX_BYTES:,} bytes")
        grid = read_grid(data, options.encoding)
        tiers: dict[str, list[Region]] = {}
        for tier in grid.tiers:
            tiers.setdefault(tier.name, []).extend(_regions(tier, options))
    except OSError as error:
        yield reject(file.name, "unreadable", f"cannot be read: {error.strerror}")
        return
    except RejectedInputError as error:
        yield reject(file.name, error.rule, error.reason)
        return
    for name, regions in tiers.items():
        alone = options.question if len(tiers) == 1 else f"{options.question}.{name}"
        yield options.answer(
            options.subject or file.stem,
            tuple(regions),
            question=options.tiers.get(name, alone),
            ext={"tier": name},
            where=f"{file.name}, tier {name}",
        )


def lost_in_textgrid(said: Said, _options: TextGridWriting) -> Iterator[Loss]:
    """Yield what a tier has no place for."""
    yield from other_kinds(said, ("interval",))
    yield from lost_fields(said, region=("t_start", "t_end"))
    for each in said.regions:
        if not (each.label or (each.attrs or {}).get("text")):
            yield "empty", f"{said.subject.name}: an interval without text, which would be none"
        for name, text in (each.attrs or {}).items():
            if name != "text" or each.label:
                yield "attrs", f"{said.subject.name}: {name} = {text} of an interval"


def write_textgrid(said: Iterable[Said], place: Place, ontology: Ontology, options: TextGridWriting) -> None:
    """Write one TextGrid for each recording, with a tier for each question; what overlaps lies in tiers of one name."""
    names = one_name_each((each.subject.name for each in said), ".TextGrid")
    for name, group in groupby(said, key=lambda each: each.subject.name):
        answers = list(group)
        regions = [region for each in answers for region in each.regions if region.kind == "interval"]
        end = max([answers[0].subject.duration or 0.0, *(region.t_end or 0.0 for region in regions)])
        tiers = [
            tier for each in answers
            for tier in _tiers(each, options.tier or each.answer.question_id, end, ontology)
        ]  # fmt: skip
        place.write(names[name], grid_text(Grid(0.0, end, tuple(tiers))).encode())


def _regions(tier: Tier, options: TextGridOptions) -> Iterator[Region]:
    for start, end, text in tier.entries:
        said = parse.check_text(text, "text")
        if not said.strip():
            continue
        is_label = options.what == "label"
        yield Region(
            kind="interval", t_start=start, t_end=end, label=parse.label_id(said) if is_label else None,
            attrs=None if is_label else {"text": said},
        )  # fmt: skip


def _tiers(said: Said, name: str, end: float, ontology: Ontology) -> Iterator[Tier]:
    stated = [
        (each.t_start or 0.0, each.t_end or 0.0, ontology.name(each.label) or (each.attrs or {}).get("text", ""))
        for each in said.regions
        if each.kind == "interval"
    ]
    points = sorted(each for each in stated if each[0] == each[1])
    layers: list[list[tuple[float, float, str]]] = []
    for each in sorted(each for each in stated if each[0] < each[1]):
        layer = next((layer for layer in layers if layer[-1][1] <= each[0]), None)
        if layer is None:
            layers.append([each])
        else:
            layer.append(each)
    for layer in layers or ([] if points else [[]]):
        yield Tier(name, is_points=False, entries=tuple(_tiled(layer, end)))
    if points:
        yield Tier(name, is_points=True, entries=tuple(points))


def _tiled(entries: Iterable[tuple[float, float, str]], end: float) -> Iterator[tuple[float, float, str]]:
    """Yield intervals with empty ones between them, from 0 to the end."""
    at = 0.0
    for start, stop, text in entries:
        if start > at:
            yield at, start, ""
        yield start, stop, text
        at = stop
    if at < end:
        yield at, end, ""


TEXTGRID = Format(
    TextGridOptions,
    functools.partial(plain_files, pattern="*.TextGrid"),
    read_textgrid,
    "regions",
    endings=(".textgrid",),
    one_each=True,
    writer=Writer(TextGridWriting, ("regions",), lost_in_textgrid, write_textgrid, several=True),
)
