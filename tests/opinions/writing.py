"""Writing answers in a format and reading them back, without a lake."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from lakehouse.opinions.formats import format_named, format_options
from lakehouse.opinions.formats.writer import Ontology, Said, Subject
from lakehouse.opinions.reading.answer import Answer, Frame, Region
from lakehouse.typed import fill
from tests.making import entity_id
from tests.opinions.making import SAID


class Folder:
    """A folder that is written to at once."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, data: bytes | Iterable[bytes]) -> None:
        """Write one file."""
        target = self.path / name if name else self.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data if isinstance(data, bytes) else b"".join(data))


def said(*regions: Region, name: str = "cat/1.jpg", size: tuple[int, int] | None = (640, 480), **changes) -> Said:
    """An answer with regions about a picture."""
    frame = Frame(*size) if size else Frame()
    given = {"actor_id": SAID["actor"], "question_id": SAID["question"], "value_kind": "regions", "value": regions,
             "event_time_source": "unknown", "frame": frame, **changes}  # fmt: skip
    width, height = size or (None, None)
    subject = Subject(entity_id(name), name, width=width, height=height)
    return Said(Answer(subject_key=entity_id(name), **given), subject)


def write(name: str, path: Path, *answers: Said, ontology: Ontology | None = None, **options: object) -> list[str]:
    """Write answers in a format; returns the rules of what is lost."""
    writer = format_named(name).writer
    assert writer is not None
    checked = fill(writer.options, options, where="test")
    lost = [rule for each in answers for rule, _ in writer.losses(each, checked)]
    writer.write(list(answers), Folder(path), ontology or Ontology(), checked)
    return lost


def read(name: str, path: Path, **options: object) -> list[Answer]:
    """Read what was written; nothing may be rejected."""
    found = format_named(name)
    checked = format_options(name, {**SAID, **options})
    items = [item for part in found.parts(path) for item in found.read(path, part, checked)]
    assert [each for each in items if type(each).__name__ == "Reject"] == []
    return [each for each in items if isinstance(each, Answer)]


def regions(name: str, path: Path, **options: object) -> list[Region]:
    """The regions that are read back."""
    return [region for each in read(name, path, **options) for region in each.value]
