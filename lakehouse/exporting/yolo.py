"""yolo: `images/<split>/<entity id>.<ending>`, `labels/<split>/<entity id>.txt`, `data.yaml`, for Ultralytics."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence

from lakehouse.datasets.policies.sides import side_pairs
from lakehouse.errors import ConfigError
from lakehouse.exporting.answers import said_of
from lakehouse.exporting.folders import write_files
from lakehouse.exporting.names import file_of
from lakehouse.exporting.pictures import note_outside, subject_of
from lakehouse.exporting.rows import Row, Selection
from lakehouse.exporting.writing import Job
from lakehouse.opinions.formats.losing import Loss
from lakehouse.opinions.formats.writer import ClassNumbers
from lakehouse.opinions.formats.yolo.write import YoloWriting, class_lines, class_numbers, lines_of, lost_in_yolo
from lakehouse.target import Target

TASKS = {"boxes": "detect", "polygons": "segment", "keypoints": "pose"}
"""Kind of the answers -> task. Answers of datasets have no turned boxes: `petrel opinions export` writes obb."""

READ = frozenset(
    f"image/{kind}" for kind in ("bmp", "jpeg", "png", "tiff", "webp")
)  # fmt: skip
"""Pictures that trainers of YOLO open."""


def numbers_of(selection: Selection) -> ClassNumbers:
    """Return label -> class number: as the label set holds it for YOLO if they are 0, 1, 2 ...; else the dataset's."""
    found = class_numbers(selection.ontology)
    return found if sorted(found.values()) == list(range(len(found))) else selection.numbers


def lost_of_row(selection: Selection, row: Row) -> Iterator[Loss]:
    """Yield what the files cannot say of a row."""
    said = said_of(selection, row)
    yield from lost_in_yolo(said, YoloWriting(task=TASKS[selection.kind]))
    for each in said.regions:
        if each.kind == "box" and each.area is not None:
            yield "area", f"{row.entity_id}: area = {each.area} of a box"
    if row.fields:
        yield "fields", f"{row.entity_id}: {', '.join(row.fields)}"
    if row.media_type not in READ:
        yield "unread", f"{row.entity_id}: {row.media_type}, which trainers of YOLO pass over"


def write_yolo(job: Job, rows: Iterable[Row], target: Target) -> None:
    """Write pictures, a text file for each (empty: nothing is there), and the class list.

    Raises:
        ConfigError: If there are no classes, or objects have different numbers of keypoints.
    """
    options = YoloWriting(task=TASKS[job.selection.kind])
    numbers = numbers_of(job.selection)
    if not numbers:
        raise ConfigError("yolo: the dataset has no classes, and a file without them cannot be read; export coco")
    points = {len(job.selection.ontology.keypoints)} - {0}

    def beside(row: Row, data: bytes) -> Mapping[str, bytes]:
        subject = subject_of(row, data, f"{row.split}/{file_of(row.entity_id, row.media_type)}")
        said = said_of(job.selection, row, subject)
        note_outside(job, subject, said.regions)
        if subject.orientation in (2, 3, 4):
            job.note("turn", f"{subject.name}: EXIF orientation {subject.orientation}; written as it is stored")
        if options.task == "pose":
            points.update(len(each.points or ()) for each in said.regions)
            if len(points) > 1:
                raise ConfigError(f"yolo: {row.entity_id}: objects have {sorted(points)} keypoints; it takes one")
        lines = "".join(f"{line}\n" for line in lines_of(said, numbers, options))
        return {f"labels/{row.split}/{row.entity_id}.txt": lines.encode()}

    write_files(job, rows, target, lambda row: f"images/{row.split}/{file_of(row.entity_id, row.media_type)}", beside)
    _write_yaml(job, target, numbers, next(iter(points), 0) if options.task == "pose" else None)


def _write_yaml(job: Job, target: Target, numbers: ClassNumbers, num_points: int | None) -> None:
    splits = [str(split) for split in job.facts.splits]
    lines = [f"{json.dumps(split)}: {json.dumps(f'images/{split}')}\n" for split in splits]
    for needed in ("train", "val"):
        if needed not in splits:
            job.note("no_split", f"data.yaml names no `{needed}`, which trainers ask for; it has {', '.join(splits)}")
    lines += class_lines(job.selection.ontology, numbers)
    if num_points == 0:
        job.note("no_keypoints", "no object has keypoints and the question names none: data.yaml has no kpt_shape, "
                 "which trainers of poses ask for")
    elif num_points is not None:
        lines += _pose(job.selection.ontology.keypoints, num_points)
    path = job.scratch / f"{uuid.uuid4().hex}.yaml"
    try:
        # Without `path`: places are then beside this file.
        path.write_text("# Splits lie beside this file.\n" + "".join(lines), encoding="utf-8")
        if not target.has("data.yaml", path.stat().st_size):
            target.put("data.yaml", path)
    finally:
        path.unlink(missing_ok=True)


def _pose(names: Sequence[str], num_points: int) -> Iterator[str]:
    yield f"kpt_shape: [{num_points}, 3]\n"
    if names:
        mirrored = list(range(len(names)))
        for a, b in side_pairs(names):
            mirrored[a], mirrored[b] = b, a
        yield f"flip_idx: {mirrored}\n"
        yield f"kpt_names: {json.dumps(list(names), ensure_ascii=False)}\n"
