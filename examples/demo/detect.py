"""Look at a folder and find out what it is: ImageFolder, images with a CSV of opinions, or Pascal VOC."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from lakehouse.errors import IngestError
from lakehouse.opinions.formats.imagefolder import is_image

COLUMNS = {
    "subject": ("image", "file", "filename", "file_name", "path", "subject", "name"),
    "label": ("label", "class", "answer", "category"),
    "votes": ("votes", "count", "num_votes"),
    "actor": ("annotator", "actor", "worker", "user"),
    "time": ("event_time", "said_at", "time", "timestamp"),
}
"""Role in an opinions CSV -> column names that we take for it, in any case."""

ROWS_CHECKED = 50
"""Rows of a CSV whose subjects must be images of the folder."""

EXPECTED = """expected one of
  <class>/<image> or <split>/<class>/<image>          ImageFolder: the folder is the label
  <images> and a .csv with columns image, label       (also: count or votes, annotator, time)
  JPEGImages/ and Annotations/*.xml                   Pascal VOC"""


@dataclass(frozen=True, slots=True)
class ImageFolder:
    """Images in folders named by class."""

    images: int
    depth: int
    classes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OpinionsCsv:
    """Images and a CSV file of answers about them.

    Attributes:
        images: Number of images.
        file: Name of the CSV file.
        columns: Role -> column.
        folders: What the folder names say; None if they are no classes.
    """

    images: int
    file: str
    columns: dict[str, str]
    folders: ImageFolder | None


@dataclass(frozen=True, slots=True)
class Voc:
    """Pascal VOC: boxes in XML files."""

    images: int
    annotations: str
    files: int


Layout = ImageFolder | OpinionsCsv | Voc


def detect(folder: Path) -> Layout:
    """Return what a folder holds.

    A CSV of opinions is taken before folder names: what people said is worth more than where a file lies.

    Raises:
        IngestError: If it is no folder, holds no image, or nothing says what the images show.
    """
    if not folder.is_dir():
        raise IngestError(f"{folder}: no such folder; give --data a folder of images")
    files = sorted(_files(folder))
    images = [path for path in files if is_image(path)]
    if not images:
        raise IngestError(f"{folder}: {len(files)} files and none of them is an image by its ending (.jpg, .png ...)")
    annotations = {path.rpartition("/")[0] for path in files if path.lower().endswith(".xml")}
    named = [name for name in sorted(annotations) if PurePosixPath(name).name.lower().startswith("annotation")]
    if named:
        inside = sum(path.startswith(f"{named[0]}/") and path.lower().endswith(".xml") for path in files)
        return Voc(len(images), named[0], inside)
    classes = _image_folder(images)
    for path in files:
        if "/" not in path and path.lower().endswith(".csv"):
            columns = _opinion_columns(folder / path, images)
            if columns is not None:
                return OpinionsCsv(len(images), path, columns, classes)
    if classes is None:
        raise IngestError(f"{folder}: {len(images)} images, and nothing says what they show ({_seen(images, files)}); "
                          f"{EXPECTED}")
    return classes


def _files(folder: Path) -> Iterable[str]:
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        relative = os.path.relpath(parent, folder)
        for name in names:
            if not name.startswith("."):
                yield name if relative == "." else f"{relative.replace(os.sep, '/')}/{name}"


def _image_folder(images: Sequence[str]) -> ImageFolder | None:
    parts = [path.split("/") for path in images]
    depths = Counter(len(each) - 2 for each in parts)
    depth = depths.most_common(1)[0][0]
    # Some images beside the class folders do not spoil it: they are reported as rejected opinions.
    if depth < 0 or depths[depth] < 0.9 * len(images):
        return None
    classes = sorted({each[depth] for each in parts if len(each) == depth + 2})
    return ImageFolder(len(images), depth, tuple(classes)) if len(classes) > 1 else None


def _opinion_columns(path: Path, images: Sequence[str]) -> dict[str, str] | None:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            header = {name.lower(): name for name in reader.fieldnames or ()}
            columns = {
                role: header[found]
                for role, names in COLUMNS.items()
                if (found := next((name for name in names if name in header), None))
            }
            if not {"subject", "label"} <= columns.keys():
                return None
            known = {*images, *(image.rpartition("/")[2] for image in images)}
            rows = [row for row, _ in zip(reader, range(ROWS_CHECKED), strict=False)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise IngestError(f"{path}: cannot be read as CSV: {error}") from error
    return columns if rows and any(row[columns["subject"]] in known for row in rows) else None


def _seen(images: Sequence[str], files: Sequence[str]) -> str:
    folders = sorted({path.rpartition("/")[0] or "." for path in images})
    tables = [path for path in files if "/" not in path and path.lower().endswith(".csv")]
    shown = ", ".join(folders[:3]) + (" ..." if len(folders) > 3 else "")
    return f"images in {shown}; CSV files: {', '.join(tables) or 'none'}"
