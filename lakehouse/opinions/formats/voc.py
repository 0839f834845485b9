"""Pascal VOC: one XML file per image, one answer per file with all its boxes.

VOC counts pixels from 1 and includes the last one, so the box 260,177,491,376 covers 232 x 200 pixels and begins at
259, 176 in ours. Many tools write "VOC" that counts from 0; `voc_origin` says which, and evidence against it is noted.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from lakehouse.errors import ConfigError, IngestError, RejectedInputError
from lakehouse.opinions.formats.common import CommonOptions, reject
from lakehouse.opinions.formats.format import Format
from lakehouse.opinions.formats.voc_layout import BOX, MAX_SHOWN, check_layout
from lakehouse.opinions.formats.voc_write import ATTRIBUTES, VOC_WRITER
from lakehouse.opinions.reading import values as parse
from lakehouse.opinions.reading.answer import Answer, Frame, Item, Region, Tally
from lakehouse.opinions.reading.whole import whole_bytes
from lakehouse.opinions.reading.xml_text import shown_text
from lakehouse.opinions.reading.xml_tree import MAX_BYTES, Element, read_xml

SUBJECTS = ("filename", "file")


@dataclass(frozen=True, slots=True, kw_only=True)
class VocOptions(CommonOptions):
    """Options of Pascal VOC.

    Attributes:
        voc_origin: 1: pixels count from 1 and maxima are included, as VOC says; 0: from 0, maxima excluded.
        subject: filename: what the file says of its image; file: the XML's own name without .xml.
        keep_raw: Keep the XML text in `raw_json`, as {"xml": ...}.
    """

    voc_origin: int = 1
    subject: str = "filename"
    keep_raw: bool = True

    def __post_init__(self) -> None:
        if self.voc_origin not in (0, 1):
            raise ConfigError(f"voc: voc_origin must be 1 or 0, found {self.voc_origin}")
        if self.subject not in SUBJECTS:
            raise ConfigError(f"voc: subject must be one of {', '.join(SUBJECTS)}, found {self.subject!r}")


@dataclass(slots=True)
class OriginEvidence:
    """What the boxes of a data set say about where its pixels count from."""

    boxes: int = 0
    minima_at_0: int = 0
    minima_at_1: int = 0
    maxima_at_size: int = 0

    def add(self, corners: tuple[float, float, float, float], frame: Frame) -> None:
        """Count one box: xmin, ymin, xmax, ymax as they stand in the file."""
        xmin, ymin, xmax, ymax = corners
        self.boxes += 1
        self.minima_at_0 += xmin == 0 or ymin == 0
        self.minima_at_1 += xmin == 1 or ymin == 1
        self.maxima_at_size += xmax == frame.width or ymax == frame.height

    def against(self, origin: int) -> str | None:
        """Return why the files do not look like `origin`; None if nothing speaks against it."""
        if origin == 1 and self.minima_at_0:
            return (
                f"{self.minima_at_0} of {self.boxes} boxes begin at 0, which counting from 1 rules out; "
                "set voc_origin = 0 if the tool counts from 0"
            )
        many = max(3, self.boxes // 100)
        if origin == 0 and not self.minima_at_0 and self.minima_at_1 >= many and self.maxima_at_size >= many:
            return (
                f"{self.minima_at_1} of {self.boxes} boxes begin at 1, none at 0, and {self.maxima_at_size} end at "
                "the last pixel: these look as if counted from 1; set voc_origin = 1"
            )
        return None


def voc_files(path: Path) -> list[str]:
    """Return the XML files of a folder (recursive, by name) relative to it, .XML too; of one file [""].

    Hidden files are left out, as the land step leaves them out.

    Raises:
        IngestError: If there is no XML file.
    """
    if path.is_file():
        return [""]
    names = (file.relative_to(path) for file in path.rglob("*") if file.suffix.lower() == ".xml" and file.is_file())
    files = sorted(name.as_posix() for name in names if not any(part.startswith(".") for part in name.parts))
    if not files:
        raise IngestError(f"{path}: no .xml file there; give the folder of the annotations")
    return files


def read_voc(path: Path, part: str, options: VocOptions) -> Iterator[Item]:
    """Give the one answer (or reject) of one XML file, and what its boxes say about their origin.

    A file without objects answers "nothing there", and one in another layout is rejected. Boxes beyond the frame are
    kept as they are; an object with several boxes is as many regions.
    """
    reader = _Reader(options)
    where = (part or path.name).encode("utf-8", "backslashreplace").decode()
    # Files of one name in several folders are told apart by where they lie.
    folder = PurePosixPath(part).parent.as_posix() if part else "."
    yield reader.item(path / part if part else path, where, "" if folder == "." else folder)
    yield Tally(dataclasses.asdict(reader.evidence))


def judge_voc(counts: Mapping[str, int], options: VocOptions) -> str | None:
    """Return what speaks against `voc_origin` in all files together; None if nothing does."""
    return OriginEvidence(**counts).against(options.voc_origin)


@dataclass(slots=True)
class _Reader:
    options: VocOptions
    evidence: OriginEvidence = field(default_factory=OriginEvidence)

    def item(self, file: Path, where: str, folder: str) -> Item:
        text = None
        try:
            data = _bytes(file)
            text = shown_text(data)
            return self._answer(read_xml(data), text, file, where, folder)
        except RejectedInputError as error:
            return reject(where, error.rule, error.reason, text)

    def _answer(self, root: Element, text: str, file: Path, where: str, folder: str) -> Answer:
        notes = check_layout(root)
        frame = _frame(root.find("size"))
        objects = root.all("object")
        regions = [region for place, each in enumerate(objects, 1) for region in self._regions(each, place, frame)]
        several = sum(len(each.all("bndbox")) > 1 for each in objects)
        if several:
            notes["several_boxes"] = f"{several} objects have several boxes, each of which is a region"
        return self.options.answer(
            self._subject(root, file),
            tuple(regions),
            frame=frame,
            folders=tuple(filter(None, (root.value("folder"), folder))),
            notes=notes,
            raw_json=json.dumps({"xml": text}, ensure_ascii=False) if self.options.keep_raw else None,
            where=where,
        )

    def _subject(self, root: Element, file: Path) -> str:
        if self.options.subject == "file":
            return file.stem
        name = root.value("filename")
        if name is None:
            raise RejectedInputError("no_filename", "names no image; set subject = \"file\" to use the XML's name")
        return parse.check_text(name, "filename")

    def _regions(self, element: Element, place: int, frame: Frame) -> Iterator[Region]:
        boxes, parts = element.all("bndbox"), element.all("part")
        if not boxes:
            inside = ", ".join(f"<{child.tag[:80]}>" for child in element.children[:MAX_SHOWN])
            raise RejectedInputError("no_box", f"has an object without <bndbox>{f', with {inside}' if inside else ''}")
        if parts and len(boxes) > 1:
            raise RejectedInputError("several_boxes", "has an object with parts and several boxes: of which one?")
        identity = str(place) if parts else None
        for box in boxes:
            yield self._box(element, box, frame, region_id=identity)
        for number, part in enumerate(parts, start=1):
            box_of_part = part.find("bndbox")
            if box_of_part is None:
                raise RejectedInputError("no_box", "has a part without <bndbox>")
            yield self._box(part, box_of_part, frame, region_id=f"{place}.{number}", parent=identity)

    def _box(
        self, element: Element, box: Element, frame: Frame, *, region_id: str | None, parent: str | None = None
    ) -> Region:
        xmin, ymin, xmax, ymax = (_coordinate(box, tag) for tag in BOX)
        # A box of one pixel has xmin = xmax when maxima are included: area 1, not an empty box.
        origin = self.options.voc_origin
        x, y, w, h = xmin - origin, ymin - origin, xmax - xmin + origin, ymax - ymin + origin
        if w < 0 or h < 0:
            raise RejectedInputError("inverted_box", f"has a box that ends before it begins: {w:g} x {h:g}")
        self.evidence.add((xmin, ymin, xmax, ymax), frame)
        return Region(
            kind="box",
            label=parse.label_id(element.value("name") or "", "object name"),
            region_id=region_id,
            x=x, y=y, w=w, h=h,
            area=w * h,
            parent_region_id=parent,
            attrs=_attributes(element),
        )


def _bytes(file: Path) -> bytes:
    try:
        return whole_bytes(file, most=MAX_BYTES)
    except OSError as error:
        raise RejectedInputError("unreadable", f"cannot be read: {error.strerror}") from error


def _frame(size: Element | None) -> Frame:
    if size is None:
        return Frame()
    sides = []
    for tag in ("width", "height"):
        text = size.value(tag)
        side = parse.number(text, tag) if text is not None else 0.0
        if side != int(side) or not 0 <= side < 2**31:
            raise RejectedInputError("bad_size", f"{tag} must be a whole number of pixels, found {text}")
        # Some tools write 0 for a size that they do not know.
        sides.append(int(side) or None)
    return Frame(sides[0], sides[1])


def _coordinate(box: Element, tag: str) -> float:
    text = box.value(tag)
    if text is None:
        raise RejectedInputError("no_box", f"has a box without <{tag}>")
    return parse.number(text, tag)


def _attributes(element: Element) -> dict[str, str] | None:
    found = {tag: text for tag in ATTRIBUTES if (text := element.value(tag)) is not None}
    for extra in (element.find("attributes") or Element("")).all("attribute"):
        name, text = extra.value("name"), extra.value("value")
        if name is not None and text is not None:
            found[name] = text
    return found or None


VOC = Format(VocOptions, voc_files, read_voc, "regions", judge=judge_voc, endings=(".xml",), one_each=True,
             writer=VOC_WRITER)  # fmt: skip
