"""Writing ImageFolder: the pictures themselves, each in the folder of its label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from lakehouse.errors import ConfigError
from lakehouse.opinions.formats.losing import Loss, lost_fields
from lakehouse.opinions.formats.names import folded, short
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
    """Write every picture as `label/name`; of several of one name each is called by its whole path (the end of it, if
    it is too long for a disk), of those that are still alike the later ones with a number.

    Names are alike that some disk takes for one: in another case, or with an é that is spelt otherwise.

    Raises:
        ConfigError: If a label cannot be the name of a folder, two labels differ in case alone (on many disks they
            would be one folder), or the lake does not hold the bytes of a picture.
    """
    labels = {str(each.answer.value) for each in said}
    alike = Counter(map(folded, labels))
    for label in sorted(labels):
        if label.startswith(".") or "/" in label or "\\" in label or label != label.strip():
            raise ConfigError(f"imagefolder: label {label!r} cannot be the name of a folder; export csv or jsonl")
        if alike[folded(label)] > 1:
            shown = ", ".join(repr(each) for each in sorted(labels) if folded(each) == folded(label))
            raise ConfigError(f"imagefolder: labels {shown} are one folder on many disks; export csv or jsonl")
    names = Counter((str(each.answer.value), folded(_last(each))) for each in said)
    # Names that stand for one picture alone are taken: no path may become one of them.
    taken = {key for key, count in names.items() if count == 1}
    for each in said:
        label, name = str(each.answer.value), _last(each)
        if names[label, folded(name)] > 1:
            name = _free(short(each.subject.name.replace("/", "_")), label, taken)
        if each.subject.content is None:
            raise ConfigError(f"imagefolder: the lake does not hold the bytes of {each.subject.name}; export csv")
        place.write(f"{label}/{name}", each.subject.content())


def _free(name: str, label: str, taken: set[tuple[str, str]]) -> str:
    path, number = PurePosixPath(name), 1
    while (label, folded(name)) in taken:
        number += 1
        name = f"{path.stem}-{number}{path.suffix}"
    taken.add((label, folded(name)))
    return name


def _last(said: Said) -> str:
    return said.subject.name.rpartition("/")[2]


IMAGEFOLDER_WRITER = Writer(ImageFolderWriting, ("label",), lost_in_imagefolder, write_imagefolder)
