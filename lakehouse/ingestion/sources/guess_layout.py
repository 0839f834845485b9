"""What a folder looks like, and the next command for it. It is only said: nothing is read otherwise because of it."""

from __future__ import annotations

import itertools
import os
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from lakehouse.ingestion.sources.source import Source

LOOKED_AT = 5_000
"""Names that a guess goes by."""

HEAD_BYTES = 1 << 16
ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".zst")
AUDIO = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a")
SPLITS = {"train", "training", "val", "valid", "validation", "dev", "test", "testing"}
RECORDS = (".json", ".txt", ".csv", ".tsv", ".xml", ".yaml", ".yml", ".md", ".toml", ".jsonl")


def guess_layout(source: Source) -> tuple[str, str] | None:
    """Return what the folder of a source looks like, and the command to run next; None where nothing is seen.

    Goes by the first names and the beginnings of a few JSON files.
    """
    names = list(itertools.islice(_names(source.folder), LOOKED_AT))
    media = [name for name in names if name.suffix.lower() not in RECORDS]
    if not names:
        return None
    where, name = shlex.quote(source.folder), shlex.quote(source.name)
    endings = Counter(each.suffix.lower() for each in media)
    again = f"petrel land --source {name} --folder {where} --form"
    imports = f"petrel opinions import --source {name} --question QUESTION --actor human:YOU"
    if media and sum(endings[ending] for ending in ARCHIVES) * 2 > len(media):
        return "archives", f"{again} archives  (or webdataset, where files of one key are one sample)"
    if endings[".parquet"] * 2 > len(media):
        return "Parquet shards", f"{again} parquet  (if a column holds the files)"
    if coco := _coco(source.folder, names):
        return "COCO", f"{imports} --format coco --path {shlex.quote(coco)}"
    if _is_yolo(names):
        return "YOLO", f"{imports} --format yolo --path {where} --option task=detect --match stem"
    folders = _class_folders(media)
    if folders and folders[0] == "splits":
        return f"train/val folders of {folders[1]} classes", f"{imports} --format imagefolder --path {where}"
    if folders:
        return f"ImageFolder of {folders[1]} classes", f"{imports} --format imagefolder --path {where}"
    if media and sum(endings[ending] for ending in AUDIO) * 2 > len(media):
        return "a folder of audio", "petrel entities"
    if media and all(len(each.parts) == 1 for each in media):
        return "a flat folder", "petrel entities"
    return None


def _names(folder: str) -> Iterator[PurePosixPath]:
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        for name in sorted(files):
            if not name.startswith("."):
                yield PurePosixPath(os.path.relpath(os.path.join(place, name), folder))


def _coco(folder: str, names: Sequence[PurePosixPath]) -> str | None:
    for name in [each for each in names if each.suffix.lower() == ".json"][:5]:
        path = Path(folder) / name
        try:
            if path.is_symlink() or not path.is_file():
                continue
            with path.open("rb") as stream:
                head = stream.read(HEAD_BYTES)
        except OSError:
            continue
        if b'"images"' in head and (b'"annotations"' in head or b'"categories"' in head):
            return str(path)
    return None


def _is_yolo(names: Sequence[PurePosixPath]) -> bool:
    texts = {each.stem for each in names if each.suffix.lower() == ".txt" and "labels" in each.parts[:-1]}
    pictures = {each.stem for each in names if "images" in each.parts[:-1]}
    return bool(texts & pictures) or (bool(texts) and any(each.name == "data.yaml" for each in names))


def _class_folders(media: Sequence[PurePosixPath]) -> tuple[str, int] | None:
    """Return how files are put in folders of classes, and how many classes; None if they are not."""
    depths = {len(each.parts) for each in media}
    tops = {each.parts[0] for each in media}
    if depths == {3} and tops <= SPLITS:
        return "splits", len({each.parts[1] for each in media})
    if depths == {2} and len(tops) > 1 and len(media) > len(tops) and not tops <= SPLITS:
        return "classes", len(tops)
    return None
