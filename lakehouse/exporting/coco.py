"""coco: `<split>/<entity id>.<ending>` and `annotations/instances_<split>.json`, as pycocotools reads them."""

from __future__ import annotations

import itertools
import json
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from typing import BinaryIO

from lakehouse.exporting.answers import said_of
from lakehouse.exporting.folders import write_files
from lakehouse.exporting.names import file_of
from lakehouse.exporting.pictures import note_outside, subject_of
from lakehouse.exporting.rows import Row, Selection
from lakehouse.exporting.writing import Job
from lakehouse.opinions.formats.coco.annotations import annotation_of
from lakehouse.opinions.formats.coco.categories import categories_of, category_ids
from lakehouse.opinions.formats.writer import Said
from lakehouse.target import Target


def write_coco(job: Job, rows: Iterable[Row], target: Target) -> None:
    """Write pictures and a file of annotations for each split; ids of pictures and annotations count through all."""
    images, annotations = itertools.count(1), itertools.count(1)
    for split, part in itertools.groupby(rows, key=lambda row: row.split):
        _Split(job, str(split), images, annotations).write(part, target)


def category_numbers(selection: Selection) -> dict[str, int]:
    """Return label -> id of its category: its export id for COCO in the label set, else its class number plus 1."""
    return category_ids(selection.ontology)


class _Split:
    """One split: entries go to two files on a local disk, which become one."""

    def __init__(self, job: Job, split: str, images: Iterator[int], annotations: Iterator[int]) -> None:
        self._job, self._split, self._images, self._annotations = job, split, images, annotations
        self._ids = category_numbers(job.selection)

    def write(self, rows: Iterable[Row], target: Target) -> None:
        name = f"annotations/instances_{self._split}.json"
        paths = [self._job.scratch / f"{uuid.uuid4().hex}.json" for _ in range(2)]
        try:
            with ExitStack() as stack:
                whole, second = (stack.enter_context(path.open("w+b")) for path in paths)
                lists = _List(whole, b'{\n"images": [\n'), _List(second, b'\n],\n"annotations": [\n')

                def beside(row: Row, data: bytes) -> Mapping[str, bytes]:
                    self._add(row, data, *lists)
                    return {}

                write_files(self._job, rows, target, lambda row: f"{self._split}/{_file(row)}", beside)
                second.seek(0)
                shutil.copyfileobj(second, whole, 1 << 20)
                entries = categories_of(self._job.selection.ontology, self._ids)
                shown = ",\n".join(json.dumps(each, ensure_ascii=False) for each in entries)
                whole.write(b'\n],\n"categories": [\n' + shown.encode() + b"\n]\n}\n")
            if not target.has(name, paths[0].stat().st_size):
                target.put(name, paths[0])
        finally:
            for path in paths:
                path.unlink(missing_ok=True)

    def _add(self, row: Row, data: bytes, images: _List, annotations: _List) -> None:
        number = next(self._images)
        subject = subject_of(row, data, _file(row))
        said = said_of(self._job.selection, row, subject)
        images.add(_image(said, number, row, self._job.selection))
        note_outside(self._job, subject, said.regions)
        if subject.orientation not in (None, 1):
            text = f"EXIF orientation {subject.orientation}; its objects are in the picture as it is stored"
            self._job.note("turn", f"{subject.name}: {text}")
        for region in said.regions:
            body = annotation_of(region, self._ids[str(region.label)], said.size)
            annotations.add({"id": next(self._annotations), "image_id": number, **body})


class _List:
    """A list in JSON that is written entry by entry."""

    def __init__(self, file: BinaryIO, start: bytes) -> None:
        self._write = file.write
        self._write(start)
        self._is_empty = True

    def add(self, entry: Mapping[str, object]) -> None:
        self._write((b"" if self._is_empty else b",\n") + json.dumps(entry, ensure_ascii=False).encode())
        self._is_empty = False


def _image(said: Said, number: int, row: Row, selection: Selection) -> dict[str, object]:
    width, height = said.size
    found: dict[str, object] = {
        "id": number, "file_name": said.subject.name, "width": width, "height": height, "entity_id": row.entity_id
    }  # fmt: skip
    return found | ({"fields": dict(row.fields)} if selection.fields else {})


def _file(row: Row) -> str:
    return file_of(row.entity_id, row.media_type)
