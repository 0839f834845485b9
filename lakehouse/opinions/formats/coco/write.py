"""Writing COCO: instances and keypoints as one file, results, captions, or panoptic with a PNG for each picture."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lakehouse.errors import ConfigError
from lakehouse.opinions.formats.coco.annotations import annotation_of
from lakehouse.opinions.formats.coco.categories import categories_of, category_ids
from lakehouse.opinions.formats.coco.document import read_document
from lakehouse.opinions.formats.coco.write_panoptic import write_panoptic
from lakehouse.opinions.formats.losing import Loss, lost_fields, other_kinds
from lakehouse.opinions.formats.writer import Ontology, Place, Said, Writer
from lakehouse.opinions.reading.answer import Region

TASKS = ("", "instances", "keypoints", "panoptic", "captions", "results")
NOT_IN_RESULTS = ("iscrowd", "attributes")
HELD = ("box", "polygon", "mask", "keypoints")


@dataclass(frozen=True, slots=True, kw_only=True)
class CocoWriting:
    """Options of writing COCO.

    Attributes:
        task: results: a list of detections with scores; panoptic: `panoptic.json` and a folder of PNG files; "",
            instances, keypoints, captions: one file, as the answers are.
        ground_truth: Of results: file whose ids of pictures they must have.
    """

    task: str = ""
    ground_truth: str = ""

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise ConfigError(f"coco: task must be one of {', '.join(filter(None, TASKS))}, found {self.task!r}")
        if (self.task == "results") != bool(self.ground_truth):
            raise ConfigError(
                "coco: results, and they alone, need ground_truth: the file whose pictures they are about has the ids"
            )


def lost_in_coco(said: Said, options: CocoWriting) -> Iterator[Loss]:
    """Yield what a file of COCO cannot say."""
    kinds = ("mask", "polygon") if options.task == "panoptic" else HELD
    # An id is kept as text in `attributes`; a polygon of a turned box is what COCO can say of it.
    held = ["part_sizes", "area", "iscrowd"] + (["score"] if options.task != "panoptic" else [])
    yield from other_kinds(said, kinds)
    yield from lost_fields(said, region=held)
    for each in said.regions:
        if each.kind in kinds and each.label is None:
            yield "label", f"{said.subject.name}: a {each.kind} has no label, and COCO none without category"
    if None in said.size:
        yield "size", f"{said.subject.name}: nobody has measured it, and it gets no width and height"
    if options.task in ("panoptic", "results"):
        for each in said.regions:
            if each.attrs:
                yield "attrs", f"{said.subject.name}: {dict(each.attrs)} of a {each.kind}"


def write_coco(said: Iterable[Said], place: Place, ontology: Ontology, options: CocoWriting) -> None:
    """Write what the options say; of a picture with nothing in it its entry alone."""
    if options.task == "panoptic":
        write_panoptic(said, place, ontology)
    elif options.task == "results":
        place.write("", _listed(_results(said, ontology, options)))
    else:
        place.write("", _document(said, ontology))


def _document(said: Iterable[Said], ontology: Ontology) -> Iterator[bytes]:
    ids = category_ids(ontology)
    images: list[str] = []
    numbers: dict[str, int] = {}
    written = 0
    # Annotations first: so the answers are gone through once, and only the pictures are held.
    yield b'{\n"annotations": [\n'
    for each in said:
        if each.subject.entity_id not in numbers:
            numbers[each.subject.entity_id] = len(numbers) + 1
            images.append(json.dumps(_image(each, len(numbers)), ensure_ascii=False))
        lines = []
        for body in _bodies(each, ids):
            written += 1
            record = {"id": written, "image_id": numbers[each.subject.entity_id], **body}
            lines.append((",\n" if written > 1 else "") + json.dumps(record, ensure_ascii=False))
        yield "".join(lines).encode()
    yield b'\n],\n"images": [\n' + ",\n".join(images).encode()
    categories = categories_of(ontology, ids)
    yield b'\n],\n"categories": [\n' + ",\n".join(json.dumps(each, ensure_ascii=False) for each in categories).encode()
    yield b"\n]\n}\n"


def _bodies(said: Said, ids: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    if said.answer.value_kind == "text":
        yield {"caption": said.answer.value}
    for region in said.regions:
        if region.kind in HELD and region.label is not None:
            yield annotation_of(region, ids[region.label], said.size)


def _image(said: Said, number: int) -> dict[str, Any]:
    width, height = said.size
    size = {} if width is None or height is None else {"width": width, "height": height}
    return {"id": number, "file_name": said.subject.name, **size}


def _results(said: Iterable[Said], ontology: Ontology, options: CocoWriting) -> Iterator[dict[str, Any]]:
    ids = category_ids(ontology)
    numbers = _numbers(options.ground_truth)
    for each in said:
        name = each.subject.name
        found = numbers.get(name, numbers.get(name.rpartition("/")[2]))
        if found is None:
            raise ConfigError(f"coco: {name} is in no `images` of {options.ground_truth}, so that it has no id")
        for body in _bodies(each, ids):
            yield {"image_id": found} | {key: value for key, value in body.items() if key not in NOT_IN_RESULTS}


def _numbers(ground_truth: str) -> dict[str, int | None]:
    numbers: dict[str, int | None] = {}
    for image in read_document(Path(ground_truth)).images:
        name = str(image.get("file_name"))
        for key in {name, name.rpartition("/")[2]}:
            # Of two pictures of one name neither is meant by it.
            numbers[key] = None if key in numbers else image["id"]
    return numbers


def _listed(records: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    yield b"["
    for place, record in enumerate(records):
        yield (",\n" if place else "\n").encode() + json.dumps(record, ensure_ascii=False).encode()
    yield b"\n]\n"


def _writes(region: Region, options: CocoWriting) -> bool:
    return region.label is not None and region.kind in (("mask", "polygon") if options.task == "panoptic" else HELD)


COCO_WRITER = Writer(CocoWriting, ("regions", "text"), lost_in_coco, write_coco, beside=("text",), writes=_writes)
