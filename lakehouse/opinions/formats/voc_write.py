"""Writing Pascal VOC: one XML file per picture, called as the picture is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from xml.sax.saxutils import escape

from lakehouse.errors import ConfigError
from lakehouse.opinions.formats.losing import Loss, lost_fields, other_kinds
from lakehouse.opinions.formats.names import one_name_each
from lakehouse.opinions.formats.voc_layout import BOX
from lakehouse.opinions.formats.writer import Ontology, Place, Said, Writer
from lakehouse.opinions.geometry.regions import box_of_region
from lakehouse.opinions.reading.answer import Region

ATTRIBUTES = ("pose", "truncated", "difficult", "occluded")
"""Elements of an object that VOC has beside its name and box, in its order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VocWriting:
    """Options of writing Pascal VOC.

    Attributes:
        voc_origin: 1: pixels count from 1 and maxima are included, as VOC says; 0: from 0, maxima excluded.
        depth: Channels that <depth> states of pictures whose channels nobody measured.
    """

    voc_origin: int = 1
    depth: int = 3

    def __post_init__(self) -> None:
        if self.voc_origin not in (0, 1):
            raise ConfigError(f"voc: voc_origin must be 1 or 0, found {self.voc_origin}")


def lost_in_voc(said: Said, _options: VocWriting) -> Iterator[Loss]:
    """Yield what an XML file of Pascal VOC cannot say: all but upright boxes is lost, and scores with it."""
    yield from other_kinds(said, ("box",))
    yield from lost_fields(said, region=("region_id", "parent_region_id"))
    whole, _ = _divided(said)
    boxes = {each.region_id for each in said.regions if each.kind == "box"}
    for each in whole:
        if each.parent_region_id in boxes and each.parent_region_id is not None:
            text = f"a box is part of {each.parent_region_id!a:.40}, which is no object here; written as one of its own"
            yield "parent_region_id", f"{said.subject.name}: {text}"
    for each in said.regions:
        if each.kind == "box" and each.label is None:
            yield "label", f"{said.subject.name}: a box has no label, and VOC no object without name; it is not written"
    if None in said.size:
        yield "size", f"{said.subject.name}: nobody has measured it, and <size> says 0"


def write_voc(said: Iterable[Said], place: Place, ontology: Ontology, options: VocWriting) -> None:
    """Write one XML file for each answer; a picture with nothing in it gets one without objects."""
    names = one_name_each((each.subject.name for each in said), ".xml")
    for each in said:
        place.write(names[each.subject.name], "".join(_lines(each, ontology, options)).encode())


def _lines(said: Said, ontology: Ontology, options: VocWriting) -> Iterator[str]:
    name = PurePosixPath(said.subject.name)
    folder = "" if name.parent == PurePosixPath(".") else name.parent.as_posix()
    width, height = said.size
    yield "<annotation>\n"
    yield f"\t<folder>{_text(folder)}</folder>\n\t<filename>{_text(name.name)}</filename>\n"
    yield f"\t<size>\n\t\t<width>{width or 0}</width>\n\t\t<height>{height or 0}</height>\n"
    yield f"\t\t<depth>{said.subject.channels or options.depth}</depth>\n\t</size>\n\t<segmented>0</segmented>\n"
    whole, parts = _divided(said)
    for place, each in enumerate(whole):
        yield from _object(each, "object", parts.get(place, ()), ontology, options)
    yield "</annotation>\n"


def _divided(said: Said) -> tuple[list[Region], dict[int, list[Region]]]:
    """Return the boxes that are objects, and place of one -> its parts; a part has none, so that one of a part, or of a
    circle of boxes, is an object."""
    boxes = [each for each in said.regions if each.kind == "box" and each.label is not None]
    ids = {each.region_id for each in boxes if each.region_id is not None}
    tops = {each.region_id for each in boxes if each.parent_region_id not in ids and each.region_id is not None}
    whole = [each for each in boxes if each.parent_region_id not in tops]
    places: dict[str, int] = {}
    for place, each in enumerate(whole):
        if each.region_id in tops:
            places.setdefault(str(each.region_id), place)
    parts: dict[int, list[Region]] = {}
    for each in boxes:
        if each.parent_region_id in tops:
            parts.setdefault(places[str(each.parent_region_id)], []).append(each)
    return whole, parts


def _object(
    region: Region, tag: str, parts: Iterable[Region], ontology: Ontology, options: VocWriting
) -> Iterator[str]:
    indent = "\t" if tag == "object" else "\t\t"
    yield f"{indent}<{tag}>\n{indent}\t<name>{_text(ontology.name(region.label))}</name>\n"
    attributes = dict(region.attrs or {})
    for name in ATTRIBUTES:
        if name in attributes:
            yield f"{indent}\t<{name}>{_text(attributes.pop(name))}</{name}>\n"
    corners = "".join(
        f"<{side}>{_number(value)}</{side}>" for side, value in zip(BOX, _corners(region, options), strict=True)
    )
    yield f"{indent}\t<bndbox>{corners}</bndbox>\n"
    if attributes:
        stated = "".join(
            f"<attribute><name>{_text(name)}</name><value>{_text(value)}</value></attribute>"
            for name, value in attributes.items()
        )
        yield f"{indent}\t<attributes>{stated}</attributes>\n"
    for part in parts:
        yield from _object(part, "part", (), ontology, options)
    yield f"{indent}</{tag}>\n"


def _corners(region: Region, options: VocWriting) -> tuple[float, float, float, float]:
    x, y, w, h = box_of_region(region)
    # Counted from 1 with maxima included: 259, 176, 232 x 200 px is 260, 177, 491, 376.
    return x + options.voc_origin, y + options.voc_origin, x + w, y + h


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def _text(text: str) -> str:
    return escape(text)


def _writes(region: Region, _options: VocWriting) -> bool:
    return region.kind == "box" and region.label is not None


VOC_WRITER = Writer(VocWriting, ("regions",), lost_in_voc, write_voc, writes=_writes)
