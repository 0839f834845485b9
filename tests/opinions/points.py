"""A toy format: `name;label` a line, as another package would bring it."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lakehouse.opinions.formats.common import CommonOptions, plain_files
from lakehouse.opinions.formats.format import Format
from lakehouse.opinions.reading.answer import Answer, Item


@dataclass(frozen=True, slots=True, kw_only=True)
class PointsOptions(CommonOptions):
    """Options of the toy."""

    separator: str = ";"


def read(path: Path, part: str, options: PointsOptions) -> Iterator[Item]:
    """Give one answer a line."""
    for line in (path / part if part else path).read_text().splitlines():
        subject, label = line.split(options.separator)
        yield Answer(actor_id=options.actor, question_id=options.question, subject_key=subject, value=label,
                     event_time_source="unknown", where=part)  # fmt: skip


POINTS = Format(PointsOptions, functools.partial(plain_files, pattern="*.pts"), read, "label", endings=(".pts",))
