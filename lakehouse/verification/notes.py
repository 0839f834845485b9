"""What this machine has looked at: a file whose size, times and inode are as noted is not read again.

One line for each log entry, appended; the last line of a version counts. A line that cannot be read is as good as
none, and removing the folder is always safe: the files are read again.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from lakehouse.files import write_whole
from lakehouse.verification.entries import Entry, FileFact, Stamp
from lakehouse.verification.places import Place


@dataclass(slots=True)
class Noted:
    """One log entry and its files as they were verified.

    Attributes:
        entry: What the entry says.
        stamp: Of the entry.
        files: Name -> stamp, of those files that were read and found whole, checkpoints of the version included.
    """

    entry: Entry
    stamp: Stamp
    files: dict[str, Stamp] = field(default_factory=dict)


def read_notes(place: Place) -> dict[int, Noted]:
    """Return version -> what was noted."""
    try:
        lines = place.notes.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    noted = {}
    for line in lines:
        check, _, text = line.partition(" ")
        if check == _check(text):
            found = _parse(json.loads(text))
            noted[found.entry.version] = found
    return noted


def add_notes(place: Place, noted: Iterable[Noted], *, alone: bool = False) -> None:
    """Append, or with `alone` take the place of all others; a lake that may not be written to is verified each time."""
    lines = []
    for each in noted:
        text = json.dumps(_record(each))
        lines.append(f"{_check(text)} {text}\n")
    if not (lines or alone):
        return
    try:
        place.notes.parent.mkdir(parents=True, exist_ok=True)
        if alone:
            write_whole(place.notes, "".join(lines))
            return
        with place.notes.open("a", encoding="utf-8") as file:
            file.write("".join(lines))
    except OSError:
        pass


def _record(noted: Noted) -> dict[str, Any]:
    entry = noted.entry
    added = [[each.name, each.size, each.sha256] for each in entry.added]
    return {"version": entry.version, "stamp": noted.stamp, "sha256": entry.sha256, "previous": entry.previous,
            "added": added, "removed": entry.removed, "files": noted.files}


def _parse(record: dict[str, Any]) -> Noted:
    added = tuple(FileFact(*fact) for fact in record["added"])
    entry = Entry(record["version"], record["sha256"], record["previous"], added, tuple(record["removed"]))
    return Noted(entry, _stamp(record["stamp"]), {name: _stamp(stamp) for name, stamp in record["files"].items()})


def _stamp(values: list[int]) -> Stamp:
    size, modified, changed, inode = values
    return size, modified, changed, inode


def _check(text: str) -> str:
    return f"{zlib.crc32(text.encode()):08x}"
