"""Mending a table: entries of its log, the record of its head, its data files, and checkpoints."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass

from lakehouse.care.transfer import all_at_once, transfer, writable
from lakehouse.errors import TableError
from lakehouse.files import write_whole
from lakehouse.home import Home
from lakehouse.ingestion.storing.held import is_held
from lakehouse.lake import Lake
from lakehouse.mending.mended import Mended
from lakehouse.tables.locks import lake_lock
from lakehouse.verification.checkpoints import CHECKPOINT, HINT, verify_checkpoints
from lakehouse.verification.copies import refresh
from lakehouse.verification.entries import Entry, FileFact, read_entry, stamp_of, versions_in
from lakehouse.verification.heads import Head, read_head, write_head
from lakehouse.verification.notes import Noted
from lakehouse.verification.places import Place, place_of
from lakehouse.verification.tables import verify_log
from schemas.model import Table


@dataclass(frozen=True, slots=True)
class _Line:
    """An entry of a log: what it says, and its bytes."""

    entry: Entry
    data: bytes


def mend_table(lake: Lake, table: Table, copy: Lake | None) -> Iterator[Mended]:
    """Put a table right, from a copy of the lake where it takes bytes; yields each file that was not as it must be.

    An entry is taken from the copy if its hash is the one that the record of the head, or the entry after it, names;
    where neither is left, if the copy's log is one with this one up to there. Data files are those of the log. Files
    that are whole are never written.

    Args:
        lake: From `looking`.
        table: Which table.
        copy: The copy, also from `looking`; None mends what takes no bytes of others.

    Raises:
        TableError: If the copy's log is damaged.
        ConcurrentWriteError: If a writer held the table for too long.
    """
    place = place_of(lake.home, table)
    with lake_lock(lake, table.name):
        refresh(place)
        theirs = {} if copy is None else _theirs(place_of(copy.home, table))
        head, is_broken = _head(place)
        held = yield from _log(place, head, theirs)
        if not held:
            return
        version = max(held)
        if is_broken or head is None or head.version < version:
            kept = {} if head is None else head.checkpoints
            write_head(place, Head(version, held[version].entry.sha256, kept))
            if is_broken:
                yield Mended(table.name, place.head_name, True, f"made anew, of version {version}")
        gone = {name for each in held.values() for name in each.entry.removed}
        facts = [fact for each in held.values() for fact in each.entry.added if fact.name not in gone]
        yield from _files(lake, place, facts, copy)
        yield from _checkpoints(place, held)


def forget_copy(home: Home, table: Table) -> None:
    """Remove what this machine keeps of a table in a bucket: it may have been fetched while it was damaged."""
    if not home.is_local:
        shutil.rmtree(place_of(home, table).folder, ignore_errors=True)


def _theirs(place: Place) -> dict[int, _Line]:
    refresh(place)
    verify_log(place)
    return {number: _Line(read_entry(place, number), place.entry(number).read_bytes())
            for number in versions_in(place.log)}  # fmt: skip


def _head(place: Place) -> tuple[Head | None, bool]:
    try:
        return read_head(place), False
    except TableError:
        return None, True


def _own(place: Place) -> dict[int, _Line]:
    found = {}
    for number in versions_in(place.log):
        try:
            found[number] = _Line(read_entry(place, number), place.entry(number).read_bytes())
        except TableError:
            continue  # as good as lost
    return found


def _log(place: Place, head: Head | None, theirs: Mapping[int, _Line]) -> Generator[Mended, None, dict[int, _Line]]:
    """Put the entries right, from the last one down; return version -> entry, nothing if one is still lost."""
    own = _own(place)
    same = max((number for number in own.keys() & theirs.keys() if own[number].data == theirs[number].data), default=-1)
    last = max([*own, *versions_in(place.log), *([head.version] if head else theirs if same >= 0 else [])], default=-1)
    if last < 0:
        last = max(theirs, default=-1)
    taken: dict[int, _Line] = {}
    expected: str | None = None
    for number in range(last, -1, -1):
        if head is not None and number == head.version:
            expected = head.sha256
        line = own.get(number)
        if line is None or expected not in (None, line.entry.sha256):
            line = theirs.get(number)
            known = expected is not None or number <= same or not any(each > same for each in own)
            if line is None or expected not in (None, line.entry.sha256) or not known:
                why = "the copy has no such entry" if theirs else "give a copy of the lake with --from"
                yield Mended(place.name, f"{place.log_name}/{number:020}.json", False, f"not mended: {why}")
                return {}
            taken[number] = line
        expected = line.entry.previous
    for number, line in sorted(taken.items()):
        name = f"{place.log_name}/{number:020}.json"
        place.home.files.put(name, line.data)
        if not place.home.is_local:
            place.log.mkdir(parents=True, exist_ok=True)
            write_whole(place.entry(number), line.data)
        yield Mended(place.name, name, True, "put back from the copy")
    return own | taken


def _files(lake: Lake, place: Place, facts: list[FileFact], copy: Lake | None) -> Iterator[Mended]:
    files = writable(lake.home)

    def mended(fact: FileFact) -> str | None:
        name = f"{place.folder_name}/{fact.name}"
        if _is_whole(lake, name, fact):
            return None
        if copy is None:
            return "give a copy of the lake with --from"
        found = transfer(copy.files, name, files, name, size=fact.size, sha256=fact.sha256)
        return found and f"the copy has {found}"

    for fact, why in all_at_once(mended, facts):
        name = f"{place.folder_name}/{fact.name}"
        if why is not None:
            yield Mended(place.name, name, not why, f"not mended: {why}" if why else "put back from the copy")


def _is_whole(lake: Lake, name: str, fact: FileFact) -> bool:
    if fact.sha256 is not None:
        return is_held(lake.files, name, fact.size, fact.sha256)
    try:
        return lake.files.stat(name).size == fact.size
    except OSError:
        return False


def _checkpoints(place: Place, held: Mapping[int, _Line]) -> Iterator[Mended]:
    head = read_head(place)
    noted = {number: Noted(line.entry, stamp_of(place.entry(number)) or (0, 0, 0, 0)) for number, line in held.items()}
    try:
        verify_checkpoints(place, noted, {} if head is None else head.checkpoints)
    except TableError:
        # They only save readers time, and the next checkpoint is one of all entries again.
        is_one: Callable[[str], object] = lambda name: name == HINT or CHECKPOINT.fullmatch(name)  # noqa: E731
        for each in list(place.home.files.list(place.log_name)):
            if is_one(each.name.rpartition("/")[2]):
                place.home.files.delete(each.name)
                if not place.home.is_local:
                    (place.home.folder / each.name).unlink(missing_ok=True)
                yield Mended(place.name, each.name, True, "removed: readers do without it")
