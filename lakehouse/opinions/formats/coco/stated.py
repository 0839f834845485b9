"""What COCO files say about their question: categories in their order, their ids, keypoints."""

from __future__ import annotations

from pathlib import Path

from lakehouse.errors import IngestError
from lakehouse.opinions.formats.coco.document import Category, Document, read_document
from lakehouse.opinions.formats.coco.options import CocoOptions
from lakehouse.opinions.formats.common import plain_files
from lakehouse.opinions.questions import Stated
from lakehouse.opinions.reading.values import label_id

NAME = "coco"


def stated_by_coco(path: Path, options: CocoOptions) -> Stated:
    """Return labels, their ids and keypoints, over all files of an import.

    Raises:
        IngestError: If a file cannot be read, or two give one category another id, or one question several lists of
            keypoints.
    """
    files = [path / part if part else path for part in plain_files(path, "*.json")]
    documents = {file: read_document(file) for file in files}
    if options.ground_truth:
        documents[Path(options.ground_truth)] = read_document(Path(options.ground_truth))
    ids: dict[str, str] = {}
    points: dict[tuple[str, ...], Category] = {}
    kinds: set[str] = set()
    for file, document in documents.items():
        task = options.task or document.task()
        for number, category in document.categories.items():
            label = label_id(category.name.strip(), "category")
            if ids.setdefault(label, str(number)) != str(number):
                raise IngestError(
                    f"{file}: category {label} has id {number}, in another file of this import {ids[label]}; import "
                    "them apart from each other"
                )
            if category.keypoints and task == "keypoints":
                points[category.keypoints] = category
        kinds |= _kinds(document, task)
    if len(points) > 1:
        raise IngestError(
            f"{path}: categories have {len(points)} lists of keypoints, and a question has one: divide the file"
        )
    found = next(iter(points.values()), Category(""))
    return Stated(
        labels=tuple(ids),
        export_ids={NAME: ids} if ids else {},
        geometry_kinds=tuple(sorted(kinds)),
        keypoints=found.keypoints,
        skeleton=tuple((a - 1, b - 1) for a, b in found.skeleton),
    )


def _kinds(document: Document, task: str) -> set[str]:
    if task == "captions":
        return set()
    if task == "panoptic":
        return {"mask"}
    found = set()
    for each in document.annotations:
        segmentation = each.get("segmentation")
        if task in ("keypoints", "results") and each.get("keypoints"):
            found.add("keypoints")
        elif segmentation:
            found.add("mask" if isinstance(segmentation, dict) else "polygon")
        else:
            found.add("box")
    return found
