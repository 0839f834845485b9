"""Which entities of a dataset version a source, a licence, an actor, an extractor or an entity stands behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa

from lakehouse.datasets.versions.reads import dimensions_read
from lakehouse.engines import Relation
from lakehouse.errors import ConfigError
from lakehouse.lake import Lake
from lakehouse.names import nearest
from lakehouse.query import fetch, query
from lakehouse.showing import find_thing
from lakehouse.tracing.versions import PinnedVersion, heard_at
from lakehouse.views.behind import tables_of
from schemas.tables import DIMENSIONS, ENTITY_SOURCES, OPINIONS

# What was seen later than a version was built is no part of it. Where its recipe read provenance, its pin tells; else
# the time does.
SEEN = """
select distinct s.entity_id from silver.entity_sources s join bronze.landed_files b on b.landed_id = s.landed_id
where {column} = $value and ($pinned or s.seen_at <= $built_at)
"""

CHILDREN = """
select e.entity_id from touched t join silver.entities e on e.parent_id = t.entity_id
union
select entity_id from touched
"""

DERIVED = "select count(*) as n from silver.entities where parent_id is not null"

OF_ACTOR = "select distinct subject_id as entity_id from heard where actor_id = $value"

OF_EXTRACTOR = """
select distinct entity_id from current_dimensions
where extractor = $name and ($any or extractor_version = $version) and ($all or dimension in $names)
"""

ANSWERED = "select count(*) as n from silver.opinions where actor_id = $value"

OTHER_CONSENSUS = """
select a.actor_id from actors a where a.kind = 'consensus' and a.actor_id <> $value order by a.actor_id
"""

MOST_GENERATIONS = 64
"""Derivations from derivations that are followed."""


@dataclass(frozen=True, slots=True)
class Touched:
    """What one version has to do with what is asked for.

    Attributes:
        entities: Column entity_id: what stands on it, member or not. None: nothing can.
        notes: What the count does not tell.
    """

    entities: Relation | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Asked:
    """What is asked for: `kind` is source, licence, actor, extractor or entity; `value` as the lake names it."""

    lake: Lake
    kind: str
    value: str

    def touched(self, found: PinnedVersion) -> Touched:
        """Return what of a version rests on it; raises like `lakehouse.tracing.versions.heard_at`."""
        by_kind: Mapping[str, Callable[[PinnedVersion], Touched]] = {
            "source": self._seen, "licence": self._seen, "actor": self._of_actor, "extractor": self._of_extractor,
            "entity": self._of_entity,
        }  # fmt: skip
        return by_kind[self.kind](found)

    def _seen(self, found: PinnedVersion) -> Touched:
        column = "b.source" if self.kind == "source" else "coalesce(b.licence, '')"
        pinned = ENTITY_SOURCES.name in found.pins
        params: dict[str, object] = {"value": self.value, "built_at": found.built_at, "pinned": pinned}
        rows = query(self.lake, SEEN.format(column=column), params=params, pins=found.pins)
        return Touched(self._with_children(rows, found))

    def _of_entity(self, found: PinnedVersion) -> Touched:
        row = self.lake.engine.from_arrow(pa.table({"entity_id": pa.array([self.value], pa.string())}))
        return Touched(self._with_children(row, found))

    def _with_children(self, rows: Relation, found: PinnedVersion) -> Relation:
        lake, rows = self.lake, self.lake.engine.stage(rows)
        if not fetch(lake, DERIVED, pins=found.pins)[0]["n"]:
            return rows
        for _ in range(MOST_GENERATIONS):
            more = lake.engine.stage(query(lake, CHILDREN, inputs={"touched": rows}, pins=found.pins))
            counts = [fetch(lake, "select count(*) as n from t", inputs={"t": each})[0]["n"] for each in (rows, more)]
            rows = more
            if counts[0] == counts[1]:
                break
        return rows

    def _of_actor(self, found: PinnedVersion) -> Touched:
        if OPINIONS.name not in found.pins:
            return Touched()
        lake, value = self.lake, {"value": self.value}
        spoke = bool(fetch(lake, ANSWERED, params=value, pins=found.pins)[0]["n"])
        heard = heard_at(lake, found)
        notes = []
        if spoke and OPINIONS.name in tables_of(found.version.followed.select.sql):
            notes.append("its selection reads opinions itself: whom it chose by them is not counted")
        if heard is None:
            return Touched(None, tuple(notes))
        others = fetch(lake, OTHER_CONSENSUS, inputs={"actors": heard[0]}, params=value)
        if spoke and others:
            notes.append(f"it hears {others[0]['actor_id']}, which was made of opinions of others; ask for that one")
        return Touched(query(lake, OF_ACTOR, inputs={"heard": heard[1]}, params=value), tuple(notes))

    def _of_extractor(self, found: PinnedVersion) -> Touched:
        read = dimensions_read(found.version.followed)
        if DIMENSIONS.name not in found.pins or not (read.all or read.names):
            return Touched()
        name, version = self._extractor
        params: dict[str, object] = {"name": name, "any": version is None, "version": version or 0, "all": read.all,
                                     "names": sorted(read.names) or [""]}  # fmt: skip
        return Touched(query(self.lake, OF_EXTRACTOR, params=params, pins=found.pins))

    @cached_property
    def _extractor(self) -> tuple[str, int | None]:
        name, separator, version = self.value.partition("@")
        if separator and not version.isdecimal():
            raise ConfigError(f"extractor {self.value!r}: expected NAME or NAME@VERSION, a whole number")
        return name, int(version) if separator else None


KNOWN = {
    "source": "select distinct source as name from bronze.landed_files",
    "licence": "select distinct licence as name from bronze.landed_files where licence is not null",
    "actor": "select actor_id as name from silver.actors",
    "extractor": "select distinct extractor as name from silver.dimensions",
}


def asked_for(lake: Lake, kind: str, value: str) -> Asked:
    """Return what is asked for, once it is known to the lake.

    Args:
        lake: The lake.
        kind: source, licence ("" where none is stated), actor, extractor (NAME or NAME@VERSION) or entity.
        value: Its name; an entity also by the beginning of its id, or a landed path.

    Raises:
        ConfigError: If there is no such thing; the message says what there is.
    """
    if kind == "entity":
        return Asked(lake, kind, find_thing(lake, value))
    asked = Asked(lake, kind, value)
    name = asked._extractor[0] if kind == "extractor" else value
    known = [row["name"] for row in fetch(lake, KNOWN[kind])]
    if name not in known and not (kind == "licence" and not value):
        raise ConfigError(f"no {kind} `{name}` in the lake {lake.home}{nearest(name, known)}")
    return asked
