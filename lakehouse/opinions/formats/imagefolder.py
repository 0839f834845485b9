"""ImageFolder: the folder that a file lies in is its label.

    cat/1.jpg         label cat, depth 0
    train/cat/1.jpg   label cat, depth 1: seen by the names of the first folders, and said

What is a picture is told by its ending, and where that says nothing, by its first bytes: as the lake takes it.
"""

from __future__ import annotations

import os
import urllib.parse
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lakehouse.errors import ConfigError, IngestError, RejectedInputError
from lakehouse.media.sniff import HEAD_BYTES, claimed, sniff
from lakehouse.opinions.formats.common import CommonOptions, reject
from lakehouse.opinions.formats.format import Format, itself
from lakehouse.opinions.formats.imagefolder_write import IMAGEFOLDER_WRITER
from lakehouse.opinions.formats.splits import Guess, class_depth, split_like
from lakehouse.opinions.reading.answer import Item, Note
from lakehouse.opinions.reading.values import check_text, label_id

KINDS = ("image", "audio", "video")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFolderOptions(CommonOptions):
    """Options of ImageFolder.

    Attributes:
        depth: Which folder of the relative path is the label, counted from 0; None: 0, or 1 where the first folders
            are splits (train, val, test ...) with folders in them, which is noted.
        extensions: Endings of names, in any case, that count; [] takes every file of `subject_kind`.
    """

    depth: int | None = None
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.depth is not None and self.depth < 0:
            raise ConfigError(f"imagefolder: depth must be 0 (the first folder) or more, found {self.depth}")


@dataclass(slots=True)
class _Seen:
    """What is told about the folder as a whole."""

    labels: Counter[str] = field(default_factory=Counter)
    tops: set[str] = field(default_factory=set)
    spellings: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    odd: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))


def read_imagefolder(path: Path, _part: str, options: ImageFolderOptions) -> Iterator[Item]:
    """Give one answer per file, in the order of names by code point; the subject is the relative path.

    Links are not followed, hidden files not read. A file above the label's folder is rejected (no_class_folder).
    Where the same bytes lie in folders of two labels, both are said and none holds over the other.

    Raises:
        IngestError: If `path` is no folder, holds nothing that could be labelled, or nobody can say what its
            folders are.
    """
    if not path.is_dir():
        raise IngestError(f"{path}: not a folder; an ImageFolder has one folder per class")
    guess = class_depth(path) if options.depth is None else Guess(options.depth, "")
    depth = guess.depth
    seen = _Seen()
    for relative in _files(str(path), "", seen):
        if not _counts(path, relative, options):
            seen.odd["not_read"].append(_shown(relative))
            continue
        yield _item(relative, depth, options, seen)
    if not seen.labels and not seen.odd["rejected"]:
        example = f", such as {seen.odd['not_read'][0]!r}" if seen.odd["not_read"] else ""
        raise IngestError(
            f"{path}: no {options.subject_kind} in it, {len(seen.odd['not_read'])} other files{example}; "
            "give the folder of the classes, or set subject_kind or extensions"
        )
    if guess.note:
        yield Note(path.name, "depth_guessed", guess.note)
    yield from _notes(path, depth, options, seen)


def is_image(name: str) -> bool:
    """Return whether a name ends as images do."""
    return (claimed(name) or "").startswith("image/")


def _item(relative: str, depth: int, options: ImageFolderOptions, seen: _Seen) -> Item:
    shown, parts = _shown(relative), relative.split("/")
    if len(parts) < depth + 2:
        seen.odd["rejected"].append(shown)
        return reject(shown, "no_class_folder", f"has no folder at depth {depth} that could be its label")
    try:
        label = label_id(parts[depth].strip(), "folder name")
        key = _subject_key(relative)
    except RejectedInputError as error:
        seen.odd["rejected"].append(shown)
        return reject(shown, error.rule, error.reason)
    if parts[depth] != parts[depth].strip():
        seen.odd["blanks_stripped"].append(shown)
    if len(parts) > depth + 2:
        seen.odd["folders_below"].append(shown)
    seen.tops.add(parts[0])
    seen.labels[label] += 1
    seen.spellings[label.casefold()].add(label)
    return options.answer(key, label, value_kind="label", stands_beside=True, where=shown)


def _notes(path: Path, depth: int, options: ImageFolderOptions, seen: _Seen) -> Iterator[Item]:
    texts = {
        "not_read": f"are not read: they are no {options.subject_kind} by their ending and first bytes",
        "links_not_followed": "are links, which are not followed",
        "folders_below": "lie in folders below that of their class, which say nothing here",
        "blanks_stripped": "lie in a folder whose name begins or ends with a blank, which is left out of the label",
    }
    for rule, text in texts.items():
        if found := seen.odd[rule]:
            yield Note(path.name, rule, f"{len(found)} files {text}, such as {found[0]!r}")
    for several in seen.spellings.values():
        if len(several) > 1:
            text = f"labels differ only in case and stay apart: {', '.join(sorted(several))}"
            yield Note(path.name, "labels_differ_in_case", text)
    if len(seen.labels) == 1 and not options.slot:
        label = next(iter(seen.labels))
        yield Note(path.name, "one_label", f"all {seen.labels[label]:,} files are {label!r} (depth = {depth})")
    splits = sorted(top for top in seen.tops if split_like(top))
    if depth == 0 and splits and len(seen.tops) > len(splits):
        yield Note(path.name, "looks_like_split", f"labels {', '.join(splits)} look like splits among classes")


def _counts(root: Path, relative: str, options: ImageFolderOptions) -> bool:
    if options.extensions:
        return relative.lower().endswith(tuple(each.lower() for each in options.extensions))
    if options.subject_kind not in KINDS:
        return True
    kind = claimed(relative.rpartition("/")[2])
    if kind is None:
        try:
            with (root / relative).open("rb") as stream:
                kind = sniff(stream.read(HEAD_BYTES))
        except OSError as error:
            raise IngestError(f"{root / relative}: cannot be read ({error.strerror})") from error
    return (kind or "").startswith(f"{options.subject_kind}/")


def _files(folder: str, prefix: str, seen: _Seen) -> Iterator[str]:
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        raise IngestError(f"{folder}: cannot be listed ({error.strerror})") from error
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _files(entry.path, f"{prefix}{entry.name}/", seen)
        elif entry.is_file(follow_symlinks=False):
            yield prefix + entry.name
        elif entry.is_symlink():
            seen.odd["links_not_followed"].append(_shown(prefix + entry.name))


def _shown(relative: str) -> str:
    return relative.encode("utf-8", "backslashreplace").decode()


def _subject_key(relative: str) -> str:
    try:
        return check_text(relative, "path")
    except RejectedInputError:
        # Not UTF-8 on disk: named as the land step names it.
        return urllib.parse.quote_from_bytes(os.fsencode(relative))


IMAGEFOLDER = Format(ImageFolderOptions, itself, read_imagefolder, "label", names_only=True, writer=IMAGEFOLDER_WRITER)
