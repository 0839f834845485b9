"""Writing ImageFolder: the pictures themselves, each in the folder of its label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from lakehouse.errors import ConfigError
from lakehouse.opinions.formats.losing import Loss, lost_fields
from lakehouse.opinions.formats.writer import Ontology, Place, Said, Writer


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFolderWriting:
    """Options of writing ImageFolder: none."""


def lost_in_imagefolder(said: Said, _options: ImageFolderWriting) -> Iterator[Loss]:
    """Yield all that is said beside the label."""
    yield from lost_fields(said)
    if "/" in said.subject.name:
        yield "folder", f"{said.subject.name}: the folder that it landed in; read it back with --match name"


def write_imagefolder(said: Iterable[Said], place: Place, _ontology: Ontology, _options: ImageFolderWriting) -> None:
    """Write every picture as `label/name`; of several of one name each is called by its whole path, of those that are
    still alike the later ones with a number.

    Raises:
        ConfigError: If a label cannot be the name of a folder, two labels differ in case alone (on many disks they
            would be one folder), or the lake does not hold the bytes of a picture.
    """
    labels = {str(each.answer.value) for each in said}
    folded = Counter(label.casefold() for label in labels)
    for label in sorted(labels):
        if label.startswith(".") or "/" in label or "\\" in label or label != label.strip():
            raise ConfigError(f"imagefolder: label {label!r} cannot be the name of a folder; export csv or jsonl")
        if folded[label.casefold()] > 1:
            alike = ", ".join(repr(each) for each in sorted(labels) if each.casefold() == label.casefold())
            raise ConfigError(f"imagefolder: labels {alike} are one folder on many disks; export csv or jsonl")
    names = Counter((str(each.answer.value), _last(each).casefold()) for each in said)
    # Names that stand for one picture alone are taken: no path may become one of them.
    taken = {key for key, count in names.items() if count == 1}
    for each in said:
        label, name = str(each.answer.value), _last(each)
        if names[label, name.casefold()] > 1:
            name = _free(each.subject.name.replace("/", "_"), label, taken)
        if each.subject.content is None:
            raise ConfigError(f"imagefolder: the lake does not hold the bytes of {each.subject.name}; export csv")
        place.write(f"{label}/{name}", each.subject.content())


def _free(name: str, label: str, taken: set[tuple[str, str]]) -> str:
    path, number = PurePosixPath(name), 1
    while (label, name.casefold()) in taken:
        number += 1
        name = f"{path.stem}-{number}{path.suffix}"
    taken.add((label, name.casefold()))
    return name


def _last(said: Said) -> str:
    return said.subject.name.rpartition("/")[2]


IMAGEFOLDER_WRITER = Writer(ImageFolderWriting, ("label",), lost_in_imagefolder, write_imagefolder)
