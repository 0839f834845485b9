"""A branch gets a table of its own with its first write: the log and the files of the table it began on, linked.

Log entries and data files never change, so that a hard link is as good as a copy and takes no room: the branch's table
is a plain Delta table with the same history, entry by entry, which every reader knows, and has the same hashes. What
vacuum, compaction or deletion do to one of the two leaves the other whole. Where a disk has no links, files are copied;
a bucket, which has none, copies them within itself.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lakehouse.errors import ReadOnlyCommitError, TableError, VersionUnavailableError
from lakehouse.lake import Lake
from lakehouse.lines import MAIN, line_folder
from lakehouse.verification.copies import AT_ONCE, refresh
from lakehouse.verification.entries import MEND, Stamp, stamp_of
from lakehouse.verification.forked import ask_again
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
    if not own.home.is_local:
        _copy_in_bucket(place, own, place.pinned)
    _fork(place, own, place.pinned)
    ask_again(lake.home)
    return own


def _copy_in_bucket(place: Place, own: Place, version: int) -> None:
    """Have the bucket copy the log and the files of a table for a branch, so that nothing passes through here.

    The record of its head comes after all this, and tells that the branch has the table.
    """
    if not place.entry(version).is_file():
        refresh(place)
    entries = entries_upto(place, version)
    needed = {fact.name for fact in live_in(entries)}
    log = [f"_delta_log/{place.entry(number).name}" for number in range(version + 1)]
    names = [*(fact.name for entry in entries for fact in entry.added),
             *(f"_delta_log/{name}" for name in _checkpoints(place, version)), *log]  # fmt: skip
    files, source, target = own.home.shared.files, _name_of(place), _name_of(own)

    def copied(name: str) -> bool:
        try:
            files.copy(f"{source}/{name}", f"{target}/{name}")
        except FileNotFoundError:
            return False
        return True

    with ThreadPoolExecutor(AT_ONCE) as threads:
        for name, is_there in zip(names, threads.map(copied, names), strict=True):
            if not is_there and (name in needed or name in log):
                raise _missing(place, own, name)


def _name_of(place: Place) -> str:
    """Return the folder of a table among the files of the lake, whichever line it is of."""
    line = place.home.line
    return place.folder_name if line == MAIN else f"{line_folder(line)}/{place.folder_name}"


def _checkpoints(place: Place, version: int) -> dict[str, str]:
    """Return the checkpoints of a table up to a version, those that are here, and their hashes."""
    head = read_head(place)
    return {name: sha256 for name, sha256 in (head.checkpoints if head else {}).items()
            if int(name[:20]) <= version and (place.log / name).is_file()}  # fmt: skip


def _fork(place: Place, own: Place, version: int) -> None:
    own.log.mkdir(parents=True, exist_ok=True)
    entries = entries_upto(place, version)
    # Files that a compaction replaced as well, those that are still there: older versions are pinned too.
    names = [fact.name for entry in entries for fact in entry.added]
    noted = read_notes(place)
    stamps: dict[str, Stamp | None] = {name: stamp_of(place.folder / name) for name in names}
    of_entries = {number: stamp_of(place.entry(number)) for number in range(version + 1)}
    # Of a lake in a bucket those that were fetched are here.
    needed = {fact.name for fact in live_in(entries)} if own.home.is_local else set[str]()
    for name in names:
        if (stamps[name] is not None or name in needed) and not _link(place.folder / name, own.folder / name):
            if name in needed:
                raise _missing(place, own, name)
            stamps[name] = None  # `maintain` removed it meanwhile: only an older version had it
    checkpoints = {name: sha256 for name, sha256 in _checkpoints(place, version).items()
                   if _link(place.log / name, own.log / name)}  # fmt: skip
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
    if own.home.is_local and not own.log.is_dir():
        return VersionUnavailableError(
            f"branch {own.home.branch} of {own.home.shared} was deleted, and `petrel maintain` freed it while it was "
            "written to; write to another branch"
        )
    return TableError(
        f"{place.name}: {place.folder / name} is missing, and branch {own.home.branch} begins with it; {MEND}"
    )
