"""Reading YOLO: which files are labels, which pictures they are about, and what they say."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from lakehouse.errors import IngestError, RejectedInputError
from lakehouse.media.sniff import claimed
from lakehouse.opinions.formats.common import reject
from lakehouse.opinions.formats.yolo.classes import TEXT, classes_of
from lakehouse.opinions.formats.yolo.lines import region_of
from lakehouse.opinions.formats.yolo.options import KIND, YoloOptions
from lakehouse.opinions.questions import Stated
from lakehouse.opinions.reading.answer import Frame, Item
from lakehouse.opinions.reading.whole import whole_text

NAME = "yolo"
LABELS, IMAGES = "labels", "images"
MAX_BYTES = 16 << 20


def yolo_files(path: Path) -> list[str]:
    """Return the label files relative to a folder, by name; of one file [""].

    Where there are folders called `labels` only what lies in them counts; class lists are none. The class list is
    the first part, where it lies beside them: its names are part of what is said.

    Raises:
        IngestError: If there is no label file.
    """
    if path.is_file():
        return [""]
    found = [each.relative_to(path) for each in path.rglob("*.txt") if each.is_file() and each.name not in TEXT]
    found = [each for each in found if not any(part.startswith(".") for part in each.parts)]
    in_labels = [each for each in found if LABELS in each.parts[:-1]]
    if path.name != LABELS and in_labels:
        found = in_labels
    if not found:
        raise IngestError(f"{path}: no .txt file there; give the folder of the labels, or the one that holds it")
    lists = [path / name for name in ("data.yaml", "data.yml", "dataset.yaml", *TEXT)]
    return [each.name for each in lists if each.is_file()] + sorted(each.as_posix() for each in found)


def stated_by_yolo(path: Path, options: YoloOptions) -> Stated:
    """Return the class list as labels in the order of their numbers.

    Raises:
        IngestError: If there is none, or it contradicts itself.
    """
    classes = classes_of(path, options)
    ordered = sorted(classes.names)
    return Stated(
        labels=tuple(classes.names[number] for number in ordered),
        export_ids={NAME: {classes.names[number]: str(number) for number in ordered}},
        geometry_kinds=(KIND[options.task],),
        keypoints=classes.keypoints if options.task == "pose" else (),
    )


def read_yolo(path: Path, part: str, options: YoloOptions) -> Iterator[Item]:
    """Give the one answer (or reject) of one label file: an empty one says "nothing here".

    Its regions are in shares of the picture.
    """
    file = path / part if part else path
    if part and "/" not in part and (file.suffix in (".yaml", ".yml") or file.name in TEXT):
        return
    where = (part or path.name).encode("utf-8", "backslashreplace").decode()
    text = None
    try:
        text = whole_text(file, most=MAX_BYTES)
        classes = classes_of(path, options)
        lines = [(number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
        regions = tuple(region_of(line, number, classes, options.task) for number, line in lines)
        key, folder = _subject(file, path)
        yield options.answer(
            key, regions, frame=Frame(relative=True), folders=folder,
            raw_json=json.dumps({"txt": text}, ensure_ascii=False) if options.keep_raw else None, where=where,
        )  # fmt: skip
    except RejectedInputError as error:
        yield reject(where, error.rule, error.reason, text)


def _subject(file: Path, path: Path) -> tuple[str, tuple[str, ...]]:
    """Return the picture's name and the folders that tell it apart: `images/` in place of `labels/`, or beside it."""
    inside = PurePosixPath(os.path.relpath(file, path if path.is_dir() else path.parent))
    parts = list(inside.parts[:-1])
    folder = file.parent
    if LABELS in folder.parts:
        last = len(folder.parts) - 1 - folder.parts[::-1].index(LABELS)
        folder = Path(*folder.parts[:last], IMAGES, *folder.parts[last + 1 :])
    splits = tuple(each for each in parts if each not in (LABELS, IMAGES))
    name = _picture(folder, file.stem) or _picture(file.parent, file.stem) or file.stem
    return name, ("/".join(splits),) if splits else ()


def _picture(folder: Path, stem: str) -> str | None:
    """Return the name of the one picture of a stem in a folder; None: there is none, or several."""
    try:
        return _pictures(str(folder), folder.stat().st_mtime_ns).get(stem) or None
    except OSError:
        return None


@functools.lru_cache(maxsize=16)
def _pictures(folder: str, _changed: int) -> dict[str, str]:
    """Return stem -> name of the pictures in a folder; of two of one stem ""."""
    found: dict[str, str] = {}
    for name in sorted(os.listdir(folder)):
        if (claimed(name) or "").startswith("image/"):
            stem = name.rpartition(".")[0]
            found[stem] = "" if stem in found else name
    return found
