"""What is in a lake and in none of its tables: nothing is lost by it, and it takes room or was never finished."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

import pyarrow as pa

from lakehouse.audit.damage import Checked, Damage
from lakehouse.care.copied import DATASETS, published_folders
from lakehouse.care.orphans import Unneeded, leftovers, orphan_objects
from lakehouse.errors import TableError
from lakehouse.lake import Lake
from lakehouse.query import fetch
from lakehouse.verification.entries import read_entry, versions_in
from lakehouse.verification.places import Place, place_of
from schemas.tables import MATERIALISATIONS, TABLES

RECORDED = "select distinct dataset_id from gold.materialisations"
BUILT = "select distinct dataset_id from gold.datasets"


def surplus(lake: Lake, listed: pa.Table, checked: Checked, *, grace: timedelta) -> Iterator[Damage]:
    """Yield what nobody needs and what is not accounted for; younger things are somebody's who is at work.

    Args:
        lake: From `looking`.
        listed: From `listed_objects`.
        checked: Gets the counts.
        grace: How long it must have been so.
    """
    before = lake.clock() - grace
    checked.counts["listed objects"] += listed.num_rows
    yield from _objects(lake, listed, before)
    for folder, files in _by_folder(leftovers(lake, before=before)).items():
        yield _told("orphan", folder, f"{lake.home}/{files[0].name}", files, "was left by a writer that was killed")
    for table in TABLES:
        place = place_of(lake.home, table)
        if found := list(_unnamed(place, before)):
            yield _told(
                "leftover",
                table.name,
                f"{lake.home}/{found[0].name}",
                found,
                "is in no commit: a writer was killed before its own",
            )
    yield from _published(lake, checked)


def _objects(lake: Lake, listed: pa.Table, before: datetime) -> Iterator[Damage]:
    try:
        found = orphan_objects(lake, listed, before=before)
    except TableError as error:
        yield Damage("unchecked", "orphans", f"orphans: not looked for, because of damage: {error}")
        return
    if found:
        yield _told("orphan", "objects", f"{lake.home}/{found[0].name}", found, "is an object that no row points at")


def _unnamed(place: Place, before: datetime) -> Iterator[Unneeded]:
    """Yield the data files of a table that no entry of its log names; none while an entry is damaged."""
    named: set[str] = set()
    for version in versions_in(place.log):
        try:
            named |= {each.name for each in read_entry(place, version).added}
        except TableError:
            return
    for each in place.home.files.list(place.folder_name):
        name = each.name.removeprefix(f"{place.folder_name}/")
        if "/" not in name and name not in named and each.modified is not None and each.modified <= before:
            yield Unneeded(each.name, each.size)


def _published(lake: Lake, checked: Checked) -> Iterator[Damage]:
    try:
        recorded = {row["dataset_id"] for row in fetch(lake, RECORDED)}
        built = {row["dataset_id"] for row in fetch(lake, BUILT)}
    except TableError as error:
        yield Damage(
            "unchecked", MATERIALISATIONS.name, f"published folders: not accounted for, because of damage: {error}"
        )
        return
    for folder, _ in published_folders(lake.home):
        dataset_id = folder.rpartition("/")[2]
        at = f"{lake.home}/{DATASETS}/{folder}"
        if dataset_id not in built:
            checked.notes.append(f"{at} is of a version that this lake did not build; nobody here needs it")
        elif dataset_id not in recorded:
            yield Damage(
                "unrecorded",
                folder,
                f"{at} is published and gold.materialisations does not tell: a run was "
                "killed before its row; publish it again, which writes that row alone",
            )


def _by_folder(found: Iterable[Unneeded]) -> dict[str, list[Unneeded]]:
    folders: dict[str, list[Unneeded]] = {}
    for each in found:
        steps = each.name.split("/")
        folders.setdefault("/".join(steps[: min(3, len(steps) - 1)]), []).append(each)
    return folders


def _told(kind: str, what: str, first: str, found: list[Unneeded], why: str) -> Damage:
    size = sum(each.size for each in found)
    more = f", and {len(found) - 1:,} more" if len(found) > 1 else ""
    return Damage(kind, what, f"{first} {why}{more}; {size:,} bytes in all")
