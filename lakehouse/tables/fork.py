"""A branch gets a table of its own with its first write: the log and the files of the table it began on, linked.

Log entries and data files never change, so that a hard link is as good as a copy and takes no room: the branch's table
is a plain Delta table with the same history, entry by entry, which every reader knows, and has the same hashes. What
vacuum, compaction or deletion do to one of the two leaves the other whole. Where a disk has no links, files are copied.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from lakehouse.errors import ReadOnlyCommitError, TableError, VersionUnavailableError
from lakehouse.lake import Lake
from lakehouse.verification.entries import MEND, Stamp, stamp_of
from lakehouse.verification.heads import Head, read_head, write_head
from lakehouse.verification.notes import Noted, add_notes, read_notes
from lakehouse.verification.places import Place, own_place, place_of
from lakehouse.verification.tables import entries_upto, live_in
from schemas.model import Table

NO_LINKS = frozenset({errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS})


def writable(lake: Lake, table: Table) -> Place:
    """Return the places of a table that this line may write to, under the table's lock; a branch's is made first.

    A fork that was killed is done again: the first entry of the log comes last, and makes it a table.

    Raises:
        ReadOnlyCommitError: If the lake was opened as a commit has it.
    """
    place = place_of(lake.home, table)
    if lake.home.read_only:
        raise ReadOnlyCommitError(
            f"{table.name}: the lake was opened as {lake.home.read_only} has it; make a branch there: petrel branch "
            f"NAME {lake.home.read_only}"
        )
    if place.pinned is None:
        return place
    own = own_place(lake.home, table)
    _fork(place, own, place.pinned)
    return own


def _fork(place: Place, own: Place, version: int) -> None:
    own.log.mkdir(parents=True, exist_ok=True)
    entries = entries_upto(place, version)
    # Files that a compaction replaced as well, those that are still there: older versions are pinned too.
    names = [fact.name for entry in entries for fact in entry.added]
    noted = read_notes(place)
    stamps: dict[str, Stamp | None] = {name: stamp_of(place.folder / name) for name in names}
    of_entries = {number: stamp_of(place.entry(number)) for number in range(version + 1)}
    needed = {fact.name for fact in live_in(entries)}
    for name in names:
        if (stamps[name] is not None or name in needed) and not _link(place.folder / name, own.folder / name):
            if name in needed:
                raise _missing(place, own, name)
            stamps[name] = None  # `maintain` removed it meanwhile: only an older version had it
    head = read_head(place)
    checkpoints = {name: sha256 for name, sha256 in (head.checkpoints if head else {}).items()
                   if int(name[:20]) <= version and (place.log / name).is_file()}  # fmt: skip
    checkpoints = {name: sha256 for name, sha256 in checkpoints.items() if _link(place.log / name, own.log / name)}
    write_head(own, Head(version, entries[-1].sha256, checkpoints))
    for number in range(version, -1, -1):
        if not _link(place.entry(number), own.entry(number)):
            raise _missing(place, own, f"_delta_log/{place.entry(number).name}")
    # A link changes a time of the file; what was whole a moment ago need not be read again for that.
    untouched = {number: each for number, each in noted.items() if of_entries.get(number) == each.stamp}
    for at in (place, own):
        _note_again(at, untouched, stamps)


def _note_again(at: Place, noted: Mapping[int, Noted], stamps: Mapping[str, Stamp | None]) -> None:
    found = []
    for number, each in sorted(noted.items()):
        stamp = stamp_of(at.entry(number))
        files = {name: now for name, before in each.files.items()
                 if before == stamps.get(name) and (now := stamp_of(at.folder / name)) is not None}  # fmt: skip
        if stamp is not None:
            found.append(Noted(each.entry, stamp, files))
    add_notes(at, found)


def _link(source: Path, target: Path) -> bool:
    """Link a file, or copy it; False if it, or the folder that it is linked into, is gone."""
    try:
        os.link(source, target)
    except FileExistsError:
        return True  # of a fork that was killed: names of files are never given twice
    except FileNotFoundError:
        return False
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        temporary = target.with_name(f"{target.name}.tmp")
        try:
            shutil.copyfile(source, temporary)
        except FileNotFoundError:
            return False
        os.replace(temporary, target)
    return True


def _missing(place: Place, own: Place, name: str) -> TableError:
    if not own.log.is_dir():
        return VersionUnavailableError(
            f"branch {own.home.branch} of {own.home.shared} was deleted, and `petrel maintain` freed it while it was "
            "written to; write to another branch"
        )
    return TableError(
        f"{place.name}: {place.folder / name} is missing, and branch {own.home.branch} begins with it; {MEND}"
    )
