"""What COCO files say about their question: categories in their order, their ids, keypoints."""

from __future__ import annotations

from pathlib import Path

from lakehouse.errors import IngestError
from lakehouse.opinions.formats.coco.document import Category, Document, read_document
from lakehouse.opinions.formats.coco.options import CocoOptions
from lakehouse.opinions.formats.common import plain_files
from lakehouse.opinions.questions import Stated
from lakehouse.opinions.reading.values import label_id
from lakehouse.opinions.words import ISTHING

NAME = "coco"
ABOVE = "supercategory"
WORDS = {NAME: "id", ABOVE: ABOVE, ISTHING: "isthing"}


def stated_by_coco(path: Path, options: CocoOptions) -> Stated:
    """Return labels, their ids and keypoints, over all files of an import.

    Raises:
        IngestError: If a file cannot be read, or two say otherwise of one category, or one question has several lists
            of keypoints.
    """
    files = [path / part if part else path for part in plain_files(path, "*.json")]
    documents = {file: read_document(file) for file in files}
    if options.ground_truth:
        documents[Path(options.ground_truth)] = read_document(Path(options.ground_truth))
    told: dict[str, dict[str, str]] = {NAME: {}, ABOVE: {}, ISTHING: {}}
    points: dict[tuple[str, ...], Category] = {}
    kinds: set[str] = set()
    for file, document in documents.items():
        task = options.task or document.task()
        for number, category in document.categories.items():
            label = label_id(category.name.strip(), "category")
            said = {NAME: str(number), ABOVE: category.supercategory, ISTHING: category.isthing}
            for what, text in said.items():
                if text and told[what].setdefault(label, text) != text:
                    raise IngestError(
                        f"{file}: category {label} has {WORDS[what]} {text!a:.80}, in another file of this import "
                        f"{told[what][label]!a:.80}; import them apart from each other"
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
        labels=tuple(told[NAME]),
        export_ids={what: texts for what, texts in told.items() if texts and what != ABOVE},
        parents=told[ABOVE],
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
