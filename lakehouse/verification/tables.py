"""Verifying a table: the chain of its log down from the record of its head, then every file of one version."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from lakehouse.errors import TableError, TableNotFoundError, VersionUnavailableError
from lakehouse.verification.checkpoints import verify_checkpoints
from lakehouse.verification.copies import complete, look_at, refresh, where
from lakehouse.verification.entries import (
    MEND,
    Entry,
    FileFact,
    read_entry,
    stamp_of,
    versions_in,
)
from lakehouse.verification.heads import Head, read_head, write_head
from lakehouse.verification.notes import Noted, add_notes, read_notes
from lakehouse.verification.places import Place


def verify_table(place: Place, version: int | None = None) -> int:
    """Check the log of a table and the files of one version; return that version.

    What this machine has read before and nobody has touched since is not read again.

    Args:
        place: Where the table is.
        version: The version whose files are looked at; None takes the newest.

    Raises:
        TableNotFoundError: If there is no table.
        TableError: For the first damage found; the message names the file, what was expected, and what to do.
    """
    version = newest(place) if version is None else version
    problem = next(problems(place, version), None)
    if problem is not None:
        raise TableError(problem)
    return version


def verify_log(place: Place) -> None:
    """Check the log of a table, and no data file.

    Raises:
        TableNotFoundError: If there is no table.
        TableError: If an entry is damaged or lost; the message names the file.
    """
    log = _read_log(place, read_head(place), read_notes(place), _refuse)
    add_notes(place, [log.noted[number] for number in sorted(log.changed)])


def problems(place: Place, version: int | None = None, *, anew: bool = False) -> Iterator[str]:
    """Yield what is wrong with a table, one sentence for each damaged file; notes what is whole.

    Args:
        place: Where the table is.
        version: As in `verify_table`.
        anew: Read every file, whatever is noted, and go on where the log is damaged: with all that it still tells.
            Else such a log is the only problem that is told.

    Raises:
        TableNotFoundError: If there is no table.
    """
    told: list[str] = []
    notes = {} if anew else read_notes(place)
    try:
        # The record first: a commit in between makes the log the longer one, never the shorter.
        log = _read_log(place, _told_head(place, told) if anew else read_head(place), notes,
                        told.append if anew else _refuse)
    except TableNotFoundError:
        raise
    except TableError as error:
        yield str(error)
        return
    yield from told
    upto = max(log.noted, default=-1) if version is None else version
    yield from _file_problems(place, log, upto)
    # Of all of them, what was just read counts: a file that was noted as whole and is not is read by the next as well.
    add_notes(place, [log.noted[number] for number in sorted(log.changed)], alone=anew and version is None)


def _told_head(place: Place, told: list[str]) -> Head | None:
    try:
        return read_head(place)
    except TableError as error:
        told.append(str(error))
        return None


def _refuse(problem: str) -> None:
    raise TableError(problem)


def entries_upto(place: Place, version: int) -> list[Entry]:
    """Return the entries of a verified table from the first to that of a version: each stands at its own number."""
    return [read_entry(place, number) for number in range(version + 1)]


def live_in(entries: Sequence[Entry]) -> list[FileFact]:
    """Return the data files of the version of the last entry, in the order in which they were added."""
    gone = {name for entry in entries for name in entry.removed}
    return [fact for entry in entries for fact in entry.added if fact.name not in gone]


def live_files(place: Place, version: int) -> list[FileFact]:
    """Return the data files of a version of a verified table, in the order in which they were added."""
    return live_in(entries_upto(place, version))


def replaced_files(place: Place, version: int) -> list[FileFact]:
    """Return the data files that were replaced up to a version of a verified table; some may be removed by now."""
    entries = entries_upto(place, version)
    gone = {name for entry in entries for name in entry.removed}
    return [fact for entry in entries for fact in entry.added if fact.name in gone]


def newest(place: Place) -> int:
    """Return the newest version that has an entry.

    Raises:
        TableNotFoundError: If there is no table.
    """
    if place.pinned is not None:
        return place.pinned
    refresh(place)
    versions = versions_in(place.log)
    if not versions:
        raise _no_table(place)
    return versions[-1]


def note_commit(place: Place, version: int) -> None:
    """Keep the record of a version that was just committed, and note its files as verified; under the table's lock.

    Raises:
        TableError: If the new entry cannot be read.
    """
    stamp = stamp_of(place.entry(version))
    entry = read_entry(place, version)
    before = read_head(place)
    write_head(place, Head(version, entry.sha256, before.checkpoints if before else {}))
    if stamp is not None:
        # Their hashes were made from these very bytes a moment ago.
        stamps = {each.name: stamp_of(place.folder / each.name) for each in entry.added}
        add_notes(place, [Noted(entry, stamp, {name: found for name, found in stamps.items() if found})])


def note_checkpoint(place: Place, version: int) -> None:
    """Keep the hash of a checkpoint that was just written, in the record of that version; under the table's lock."""
    head, name = read_head(place), f"{version:020}.checkpoint.parquet"
    if head is not None and head.version == version:
        sha256 = hashlib.sha256((place.log / name).read_bytes()).hexdigest()
        write_head(place, replace(head, checkpoints={**head.checkpoints, name: sha256}))


class _Log:
    """The entries of a log, verified; `changed` are the versions whose notes are new."""

    def __init__(self) -> None:
        self.noted: dict[int, Noted] = {}
        self.changed: set[int] = set()


def _read_log(place: Place, head: Head | None, notes: Mapping[int, Noted], tell: Callable[[str], None]) -> _Log:
    """Return the entries that are whole; `tell` gets a sentence for each that is not, and may raise."""
    versions = versions_in(place.log)
    if head is not None and (not versions or versions[-1] < head.version):
        refresh(place)
        versions = versions_in(place.log)
    if not versions and head is None:
        raise _no_table(place)
    told = _tell_holes(place, versions, head, tell)
    log = _Log()
    # Downwards: what an entry says about the one before is believed once it has been verified itself.
    expected: str | None = None
    said_by = ""
    for version in reversed(versions):
        stamp = stamp_of(place.entry(version))
        noted = notes.get(version)
        if noted is None or stamp is None or noted.stamp != stamp:
            try:
                entry = read_entry(place, version)
            except TableError as error:
                tell(str(error))
                told, expected = True, None
                continue
            noted = Noted(entry, stamp or (0, 0, 0, 0))
            log.changed.add(version)
        if head is not None and version == head.version:
            if expected not in (None, head.sha256):
                # Committed after the record was written, and not on top of what it tells: a copy under another name.
                tell(
                    f"{place.name}: {place.entry(version + 1)} is damaged: it says that the entry before it has "
                    f"SHA-256 {expected}, and {place.head} says {head.sha256}; {MEND}, or remove it"
                )
                log.noted.pop(version + 1, None)
                log.changed.discard(version + 1)
                told = True
            expected, said_by = head.sha256, str(place.head)
        if expected is not None and noted.entry.sha256 != expected:
            tell(
                f"{place.name}: {place.entry(version)} is damaged: expected SHA-256 {expected}, as {said_by} says, "
                f"found {noted.entry.sha256}; {MEND}"
            )
            log.changed.discard(version)
            told, expected = True, None
            continue
        log.noted[version] = noted
        expected, said_by = noted.entry.previous, place.entry(version).name
        if version - 1 not in versions:
            expected = None
    if not told:
        # A checkpoint is compared with all entries: without one of them every checkpoint would look damaged.
        try:
            log.changed |= verify_checkpoints(place, log.noted, {} if head is None else head.checkpoints)
        except TableError as error:
            tell(str(error))
    return log


def _no_table(place: Place) -> TableNotFoundError:
    return TableNotFoundError(
        f"{place.name}: no table at {where(place, place.folder)}; run any step to create the lake"
    )


def _tell_holes(place: Place, versions: Sequence[int], head: Head | None, tell: Callable[[str], None]) -> bool:
    last = versions[-1] if versions else -1
    lost = head is not None and last < head.version
    if head is not None and lost:
        tell(
            f"{place.name}: the newest entry of {place.log} is {last}, expected {head.version}, as {place.head} says: "
            f"commits are lost; `petrel mend --from COPY` puts {place.entry(head.version).name} back from a copy of "
            "the lake. To go on without what they held, remove that record and bring the lost data in again"
        )
    missing = sorted(set(range(last + 1)) - set(versions))
    for version in missing:
        tell(f"{place.name}: {place.entry(version)} is missing, and later ones are there; {MEND}")
    return lost or bool(missing)


def _file_problems(place: Place, log: _Log, upto: int) -> Iterator[str]:
    # Only a compaction removes files; tables of ours are appended to.
    gone = {name for version, noted in log.noted.items() if version <= upto for name in noted.entry.removed}
    needed = [
        (version, fact) for version, noted in sorted(log.noted.items()) if version <= upto
        for fact in noted.entry.added if fact.name not in gone
    ]  # fmt: skip
    replaced = {name: version for version, noted in log.noted.items() if version > upto for name in noted.entry.removed}
    facts = [fact for _, fact in needed]
    limit = place.home.fetched_bytes
    stays = not place.home.is_local and limit is not None and sum(fact.size for fact in facts) > limit
    not_fetched = look_at(place, facts) if stays else complete(place, facts)
    for version, fact in needed:
        noted = log.noted[version]
        path = place.folder / fact.name
        stamp = stamp_of(path)
        if stamp is not None and noted.files.get(fact.name) == stamp:
            continue
        if stamp is None and stays and fact.name not in not_fetched:
            continue
        found = not_fetched.get(fact.name) or ("no file" if stamp is None else _difference(path, fact, stamp[0]))
        if found == "no file" and (by := replaced.get(fact.name)) is not None:
            raise VersionUnavailableError(
                f"{place.name}@{upto}: its files were replaced in version {by} and removed since, because nothing "
                f"pinned it or because rows of it were erased: read version {by} or a later one"
            )
        if found:
            expected = f"{fact.size} bytes" + (f" of SHA-256 {fact.sha256}" if fact.sha256 else "")
            at = where(place, path)
            yield f"{place.name}: {at} is damaged: expected {expected}, found {found}; {MEND}"
        elif stamp is not None:
            noted.files[fact.name] = stamp
            log.changed.add(version)


def _difference(path: Path, fact: FileFact, size: int) -> str:
    """Return how a file differs from what the log says, "" if it does not."""
    if size != fact.size:
        return f"{size} bytes"
    if fact.sha256 is None:
        return ""
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return f"a file that cannot be read ({error.strerror})"
    return "" if found == fact.sha256 else f"SHA-256 {found}"
