"""ImageFolder: the folder that a file lies in is its label.

    cat/1.jpg        label cat, depth 0
    test/cat/1.jpg   label cat, depth 1
"""

from __future__ import annotations

import os
import urllib.parse
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lakehouse.errors import IngestError, RejectedInputError
from lakehouse.opinions.answer import Answer, Item, Note
from lakehouse.opinions.formats.common import CommonOptions, reject
from lakehouse.opinions.parse import check_text, label_id

IMAGES = (
    ".jpg", ".jpeg", ".png", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm", ".avif", ".heic", ".jp2"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFolderOptions(CommonOptions):
    """Options of ImageFolder.

    Attributes:
        depth: Which folder of the relative path is the label, counted from 0.
        extensions: Endings of names, in any case, that count; [] takes every file.
    """

    depth: int = 0
    extensions: tuple[str, ...] = IMAGES


def read_imagefolder(path: Path, _part: str, options: ImageFolderOptions) -> Iterator[Item]:
    """Give one answer per file, in the order of names by code point; the subject is the relative path.

    Links are not followed. A file above the label's folder is rejected (rule no_class_folder).

    Raises:
        IngestError: If `path` is no folder.
    """
    if not path.is_dir():
        raise IngestError(f"{path}: not a folder; an ImageFolder has one folder per class")
    skipped = 0
    spellings: defaultdict[str, set[str]] = defaultdict(set)
    for relative in _files(str(path), ""):
        if options.extensions and not relative.lower().endswith(options.extensions):
            skipped += 1
            continue
        shown = relative.encode("utf-8", "backslashreplace").decode()
        parts = relative.split("/")
        if len(parts) < options.depth + 2:
            reason = f"has no folder at depth {options.depth} that could be its label"
            yield reject(shown, "no_class_folder", reason)
            continue
        try:
            label = label_id(parts[options.depth], "folder name")
            key = _subject_key(relative)
        except RejectedInputError as error:
            yield reject(shown, error.rule, error.reason)
            continue
        spellings[label.casefold()].add(label)
        yield Answer(
            actor_id=options.actor,
            question_id=options.question,
            question_version=options.question_version,
            subject_key=key,
            subject_kind=options.subject_kind,
            slot=options.slot,
            value=label,
            event_time_source="unknown",
            where=shown,
        )
    if skipped:
        yield Note(path.name, "not_read", f"{skipped} files are not read: their names do not end as images do")
    for several in spellings.values():
        if len(several) > 1:
            text = f"labels differ only in case and stay apart: {', '.join(sorted(several))}"
            yield Note(path.name, "labels_differ_in_case", text)


def _files(folder: str, prefix: str) -> Iterator[str]:
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        raise IngestError(f"{folder}: cannot be listed ({error.strerror})") from error
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _files(entry.path, f"{prefix}{entry.name}/")
        elif entry.is_file(follow_symlinks=False):
            yield prefix + entry.name


def _subject_key(relative: str) -> str:
    try:
        return check_text(relative, "path")
    except RejectedInputError:
        # Not UTF-8 on disk: named as the land step names it.
        return urllib.parse.quote_from_bytes(os.fsencode(relative))
