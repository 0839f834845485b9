"""Removing files of tables that nobody reads any more, and none that a pin needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from lakehouse.care.pins import Pin
from lakehouse.erasures import erased_files
from lakehouse.lake import Lake
from lakehouse.tables.locks import lake_lock
from lakehouse.tables.read import head, whole
from lakehouse.verification.entries import committed_at, erasing
from lakehouse.verification.places import Place, place_of
from lakehouse.verification.tables import entries_upto, live_in
from schemas.model import Table


@dataclass(frozen=True, slots=True)
class Vacuumed:
    """What was, or would be, removed of a table.

    Attributes:
        removed: Files that were removed; of a dry run, that would be.
        bytes: Their size.
        young: Files that nobody needs and that are too young: a reader or writer may be under way with them.
        pinned: Pin -> files that only it needs.
    """

    removed: int
    bytes: int
    young: int
    pinned: Mapping[str, int]


def vacuum(
    lake: Lake,
    table: Table,
    pins: Callable[[], Iterable[Pin]],
    *,
    grace: timedelta,
    now: datetime,
    dry_run: bool = False,
) -> Vacuumed:
    """Remove the files of a table that its newest version does not have, no pin needs, and that are old enough.

    These are files that a compaction replaced and files that no commit names, of writers that were killed. Versions
    that stand on a removed file can be read no more; their log stays. What `erase` took rows from goes at once,
    whatever needs it: the rows are to be gone.

    Args:
        lake: The lake.
        table: Which table.
        pins: Returns whose versions stay readable: asked right before files are removed, so that a reader that began
            meanwhile keeps its files.
        grace: Younger files stay, and files that were replaced less long ago.
        now: The time of now, UTC.
        dry_run: Remove nothing, only count.

    Raises:
        TableError: If the log is damaged: what is needed is not known then.
        ConcurrentWriteError: If the table stayed busy.
    """
    place = place_of(lake.home, table)
    with lake_lock(lake, table.name) as held:
        version = whole(lake, table, head(lake.home, table))
        entries = entries_upto(place, version)
        needed = {fact.name for fact in live_in(entries)}
        rewriting = [entry for entry in entries if entry.removed]
        replaced = {
            name: since for entry in rewriting for since in (committed_at(place, entry.version),)
            for name in entry.removed
        }  # fmt: skip
        erased = {name for entry in rewriting for name in erasing(place, entry.version)}
        erased |= erased_files(lake.home, table.name)
        listed = list(place.home.files.list(place.folder_name))
        names = {each.name.removeprefix(f"{place.folder_name}/") for each in listed}
        pinned = {}
        wanted = set()
        # Of most tables there is nothing that could go, and nobody need be asked.
        for pin in pins() if any("/" not in name and name not in needed for name in names) else ():
            if (at := pin.tables.get(table.name)) is not None and at < version:
                only = {fact.name for fact in live_in(entries[: at + 1])} - needed - erased
                wanted |= only
                if only:
                    pinned[pin.name] = len(only)
        removed, size, young = 0, 0, 0
        for each in listed:
            name = each.name.removeprefix(f"{place.folder_name}/")
            if "/" in name or name in needed | wanted:
                continue  # the log, or a folder of somebody else's
            since = replaced.get(name) or each.modified
            if name not in erased and (since is None or now - since < grace):
                young += 1
                continue
            removed, size = removed + 1, size + each.size
            if not dry_run:
                held.check()
                _remove(place, name)
    return Vacuumed(removed, size, young, pinned)


def _remove(place: Place, name: str) -> None:
    place.home.files.delete(f"{place.folder_name}/{name}")
    if not place.home.is_local:
        (place.folder / name).unlink(missing_ok=True)
