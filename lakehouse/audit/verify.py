"""Looking through a whole lake, or what one dataset version stands on, for damage of every kind."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from lakehouse.audit.damage import Checked, Damage
from lakehouse.audit.objects import object_damages
from lakehouse.care.orphans import listed_objects
from lakehouse.datasets.versions.counts import lost_members, short_batches
from lakehouse.datasets.versions.find import find_dataset
from lakehouse.datasets.versions.named import version_named
from lakehouse.errors import TableError, TableNotFoundError, VersionUnavailableError
from lakehouse.lake import Lake
from lakehouse.lines import parted
from lakehouse.place import require_lake
from lakehouse.query import fetch, query
from lakehouse.steps.expired import expired
from lakehouse.verification.copies import where
from lakehouse.verification.entries import MEND
from lakehouse.verification.places import Place, place_at, place_of
from lakehouse.verification.tables import newest, problems
from schemas.tables import (
    BATCHES,
    BY_NAME,
    DATASET_MEMBERS,
    DATASETS,
    ENTITIES,
    ENTITY_SOURCES,
    OPINIONS,
    TABLES,
)

STORED = """
select entity_id, object_uri, size_bytes, storage from silver.entities
where object_uri is not null and entity_id not in (select entity_id from expired)
"""

OF_MEMBERS = f"{STORED} and entity_id in (select entity_id from member_entities where dataset_id = $id)"

FOUND = """
select e.*, l.found_bytes, c.entity_id is not null as is_read
from stored e left join listed l on l.object_uri = e.object_uri left join chosen c on c.entity_id = e.entity_id
"""

CHOSEN = "select entity_id from stored where storage = 'copy' order by md5(concat(entity_id, '|', $seed)) limit "

BUILT = "select dataset_id, name, pins_json from gold.datasets order by first_version, dataset_id"

BUILT_ONE = "select dataset_id, name, pins_json from gold.datasets where dataset_id = $id"


@dataclass(frozen=True, slots=True)
class Reading:
    """How much is read of objects, beside their names and sizes.

    Attributes:
        deep: Every byte.
        sample: So many objects, chosen by lot.
        seed: Of the lot.
        listed: From `listed_objects`, where the objects were listed already.
    """

    deep: bool = False
    sample: int = 0
    seed: str = ""
    listed: pa.Table | None = None


class _Survey:
    """One look through a lake: which versions are read, which tables turned out to be damaged, what was counted."""

    def __init__(self, lake: Lake, checked: Checked) -> None:
        self.lake = lake
        self.checked = checked
        # What is made of others first: a row that is committed meanwhile never points at one that is not pinned.
        found = {table.name: newest_or_none(place_of(lake.home, table)) for table in reversed(TABLES)}
        self.heads = {name: version for name, version in found.items() if version is not None}
        self.pins = dict(self.heads)
        self.broken: set[str] = set()

    def tables(self, names: Iterable[str], *, pinned: bool = False) -> Iterator[Damage]:
        """Compare tables with their logs, anew: up to the version that is pinned, or to the newest."""
        for name in names:
            self.checked.counts["tables"] += 1
            place, version = place_of(self.lake.home, BY_NAME[name]), self.pins.get(name)
            counted = version
            if version is not None and pinned:
                place, counted = place_at(self.lake.home, BY_NAME[name], version)
            try:
                found = list(problems(place, counted if pinned else None, anew=True))
            except VersionUnavailableError as error:
                # Rows of it were erased, and old files with them: what is left is in the newest version.
                self.checked.notes.append(str(error))
                version = self.pins[name] = self.heads[name]
                found = list(problems(place, version, anew=True))
            except TableNotFoundError:
                gone = where(place, place.folder)
                found = [f"{name}: {gone} is gone, log and all; {MEND}"]
            if found or version is None:
                self.broken.add(name)
            else:
                self.lake.verified.add((name, version))
            yield from (Damage("table", name, problem) for problem in found)

    def ask(self, what: str, needed: Iterable[str], work: Callable[[], Iterator[Damage]]) -> Iterator[Damage]:
        """Yield what `work` finds by asking tables, if they are whole; else say that it was not looked for."""
        broken = sorted(self.broken.intersection(needed))
        if broken:
            yield Damage(
                "unchecked",
                what,
                f"{what}: not looked at, because of damage in {', '.join(broken)}; mend that and verify again",
            )
            return
        try:
            yield from work()
        except TableError as error:
            yield Damage("unchecked", what, f"{what}: cannot be looked at: {error}")

    def imports(self) -> Iterator[Damage]:
        """Compare the numbers of opinions with what their imports brought."""
        self.checked.counts["imports"] += fetch(self.lake, "select count(*) as n from silver.batches", pins=self.pins)[
            0
        ]["n"]
        yield from (Damage("count", OPINIONS.name, each) for each in short_batches(self.lake, self.pins))

    def members(self, dataset_id: str | None) -> Iterator[Damage]:
        """Compare the members of every dataset version, or of one, with the digest from its build."""
        for row in fetch(self.lake, BUILT, pins=self.pins):
            if dataset_id in (None, row["dataset_id"]):
                self.checked.counts["dataset versions"] += 1
                yield from self._lost_versions(row)
                lost = lost_members(self.lake, row["dataset_id"], self.pins)
                if lost:
                    yield Damage("count", DATASET_MEMBERS.name, lost)

    def _lost_versions(self, row: Mapping[str, Any]) -> Iterator[Damage]:
        for name, version in pins_of(row).items():
            if not self.has(name, version) and name not in self.broken:
                yield Damage(
                    "count",
                    name,
                    f"{name}: dataset {row['name']} ({row['dataset_id']}) was built from version {version}, the newest "
                    f"is {self.heads.get(name)}: commits are lost; `petrel mend --from COPY` puts the table "
                    "back from a copy of the lake",
                )

    def has(self, name: str, number: int) -> bool:
        """Say whether there is such a version of a table, of this line or of another that a merged dataset names."""
        if parted(number)[0] == 0:
            return number <= self.heads.get(name, -1)
        try:
            place, counted = place_at(self.lake.home, BY_NAME[name], number)
            return counted <= newest(place)
        except (VersionUnavailableError, TableNotFoundError):
            return False

    def objects(self, dataset_id: str | None, reading: Reading) -> Iterator[Damage]:
        """Compare the bytes of entities, or of the members of one dataset version."""
        text = STORED if dataset_id is None else OF_MEMBERS
        gone = {"expired": expired(self.lake)}
        entities = query(self.lake, text, inputs=gone, params={"id": dataset_id}, pins=self.pins)
        if dataset_id is None:  # listing many at once costs less than asking for each
            listed = listed_objects(self.lake.home) if reading.listed is None else reading.listed
            inputs = {"stored": self.lake.engine.stage(entities), "listed": self.lake.engine.from_arrow(listed)}
            chosen = query(self.lake, CHOSEN + str(reading.sample), inputs=inputs, params={"seed": reading.seed})
            entities = query(self.lake, FOUND, inputs={**inputs, "chosen": self.lake.engine.stage(chosen)})
        named = {} if ENTITY_SOURCES.name in self.broken else self.pins
        yield from object_damages(self.lake, entities, named, self.checked, deep=reading.deep)


def verify(
    lake: Lake,
    *,
    dataset: str | None = None,
    deep: bool = False,
    checked: Checked | None = None,
    reading: Reading | None = None,
) -> Iterator[Damage]:
    """Yield everything that is damaged in a lake beside its published folders, which `loaders.verify` looks at.

    Tables are read anew, whatever was noted of them, at the versions that were the newest when it began: others may
    write meanwhile.

    Args:
        lake: From `open_lake`, or from `looking`, which opens damaged ones as well.
        dataset: Name of a dataset (the version built last) or a version id: look only at the tables that it was built
            from, at the versions it was built from, at its members and their bytes. None looks at everything.
        deep: Compare the SHA-256 of all bytes of entities, not only their sizes.
        checked: Gets counts of what was looked at.
        reading: Says it in more words than `deep`, which it then takes the place of.

    Raises:
        RecipeError: If there is no such dataset.
    """
    checked = Checked() if checked is None else checked
    survey = _Survey(lake, checked)
    try:
        require_lake(lake.home)
    except TableError as error:
        yield Damage("lake", lake.home.address, str(error))
    dataset_id = None
    if dataset is None:
        yield from survey.tables(table.name for table in TABLES)
        yield from survey.ask("imports", [BATCHES.name, OPINIONS.name], survey.imports)
    else:
        own = [DATASETS.name, DATASET_MEMBERS.name]
        yield from survey.tables(own)
        # From the receipts, where the table can no longer tell.
        checked.dataset_id = version_named(lake, dataset)
        try:
            version = find_dataset(lake, dataset)
        except TableError as error:
            yield Damage("unchecked", dataset, f"dataset {dataset}: cannot be found: {error}")
            return
        dataset_id = checked.dataset_id = version.dataset_id
        (row,) = fetch(lake, BUILT_ONE, params={"id": dataset_id})
        read = {name: number for name, number in pins_of(row).items() if survey.has(name, number)}
        survey.pins |= read
        yield from survey.tables(sorted({*pins_of(row), ENTITIES.name} - set(own)), pinned=True)
    built = [DATASETS.name, DATASET_MEMBERS.name]
    yield from survey.ask("datasets", built, lambda: survey.members(dataset_id))
    needed = [ENTITIES.name] if dataset_id is None else [ENTITIES.name, *built]
    yield from survey.ask("objects", needed, lambda: survey.objects(dataset_id, reading or Reading(deep=deep)))


def newest_or_none(place: Place) -> int | None:
    """Return the newest version of a table; None if it is gone."""
    try:
        return newest(place)
    except TableNotFoundError:
        return None


def pins_of(row: Mapping[str, Any]) -> dict[str, int]:
    """Return which versions of which tables a dataset version was built from, of those that there are today."""
    return {name: int(version) for name, version in json.loads(row["pins_json"]).items() if name in BY_NAME}
