"""What a lake holds and nobody needs: objects that no row points at, and what killed writers left behind."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from lakehouse.care.copied import DATASETS, sha256_of_object
from lakehouse.care.lines import pins_of_all
from lakehouse.commits.refs import branches
from lakehouse.engines.spark_staging import STAGED
from lakehouse.errors import ConfigError
from lakehouse.home import Home
from lakehouse.lake import Lake
from lakehouse.lines import numbered
from lakehouse.objects import OBJECTS
from lakehouse.query import Pins, fetch
from lakehouse.tables.read import head
from lakehouse.verification.places import line_home, place_of
from loaders.format.manifest import DATASET
from loaders.stores.storage import Stat
from schemas.model import TIMESTAMP
from schemas.tables import ENTITIES, LANDED_FILES

LEAST_GRACE = timedelta(days=1)
"""A step that runs writes objects first and their rows when it ends: what is younger may be on its way."""

SHOWN = "_runs/orphans.json"
"""What the last dry run showed: nothing else is removed."""

LISTED = pa.schema([("object_uri", pa.string()), ("found_bytes", pa.int64()), ("modified_at", TIMESTAMP)])

UNNEEDED = """
select l.object_uri, l.found_bytes from listed l
where l.modified_at <= $before
    and not exists (select 1 from silver.entities e where e.object_uri = l.object_uri)
    and not exists (select 1 from bronze.landed_files b where b.object_uri = l.object_uri)
order by l.object_uri
"""


NAMING = (ENTITIES, LANDED_FILES)
"""Tables whose rows point at objects."""

RECORDED = "select distinct folder from gold.materialisations"


@dataclass(frozen=True, slots=True)
class Unneeded:
    """A file that nobody needs, old enough that nobody can be writing it.

    Attributes:
        name: Among the files of the lake.
        size: Bytes.
    """

    name: str
    size: int


def listed_objects(home: Home) -> pa.Table:
    """Return every object that a storage lists: object_uri, found_bytes, modified_at (NULL where it tells none)."""
    found = [each for each in home.files.list(OBJECTS) if sha256_of_object(each.name) is not None]
    columns = [[each.name for each in found], [each.size for each in found], [each.modified for each in found]]
    return pa.table([pa.array(column, field.type) for column, field in zip(columns, LISTED, strict=True)], LISTED)


def orphan_objects(lake: Lake, listed: pa.Table, *, before: datetime, pins: Pins | None = None) -> list[Unneeded]:
    """Return the objects that no row points at, of a landed file or an entity, by name.

    Args:
        lake: The lake.
        listed: From `listed_objects`, listed before the tables are read: whoever lands meanwhile loses nothing.
        before: Only those that were written up to this time.
        pins: Versions of the tables.

    Raises:
        TableError: If a table is damaged: who points at what is not known then.
    """
    rows = fetch(lake, UNNEEDED, inputs={"listed": lake.engine.from_arrow(listed)}, pins=pins,
                 params={"before": before})  # fmt: skip
    needed = _needed_elsewhere(lake, [row["object_uri"] for row in rows]) if rows else set()
    return [Unneeded(row["object_uri"], row["found_bytes"]) for row in rows if row["object_uri"] not in needed]


def _needed_elsewhere(lake: Lake, uris: list[str]) -> set[str]:
    """Return those that a row of another branch points at, or of a version that a tag or a commit keeps."""
    places = {(name, number) for pin in pins_of_all(lake) for name, number in pin.tables.items()}
    for line in branches(lake.home).values():
        home = line_home(lake.home, line)
        places |= {(table.name, numbered(place_of(home, table).home.line, head(home, table))) for table in NAMING}
    asked = lake.engine.from_arrow(pa.table({"object_uri": pa.array(uris, pa.string())}))
    found: set[str] = set()
    for name, number in sorted(each for each in places if each[0] in {table.name for table in NAMING}):
        text = f"select distinct object_uri from {name} where object_uri in (select object_uri from asked)"
        found |= {row["object_uri"] for row in fetch(lake, text, inputs={"asked": asked}, pins={name: number})}
    return found


def leftovers(lake: Lake, *, before: datetime) -> Iterator[Unneeded]:
    """Yield what killed writers left: half-written files, results of Spark's jobs in a bucket, published versions whose
    writing never ended, and strangers among the objects; those alone that were last written up to a time, each
    published folder as a whole.

    Raises:
        TableError: If gold.materialisations is damaged: what it names is published, and damaged if it looks unfinished.
    """
    home, recorded = lake.home, {row["folder"] for row in fetch(lake, RECORDED)}
    for each in home.files.unfinished():
        if _is_old(each, before):
            yield Unneeded(each.name, each.size)
    for each in home.files.list(OBJECTS):
        if sha256_of_object(each.name) is None and _is_old(each, before):
            yield Unneeded(each.name, each.size)
    for each in () if home.is_local else home.files.list("_tmp"):
        if each.name.startswith(STAGED) and _is_old(each, before):
            yield Unneeded(each.name, each.size)
    folders: dict[str, list[Stat]] = {}
    for each in home.files.list(DATASETS):
        folders.setdefault("/".join(each.name.split("/")[:3]), []).append(each)
    for folder, files in folders.items():
        is_whole = "/." not in folder and any(each.name == f"{folder}/{DATASET}" for each in files)
        if not is_whole and folder not in recorded and all(_is_old(each, before) for each in files):
            yield from (Unneeded(each.name, each.size) for each in files)


def found_unneeded(lake: Lake, *, grace: timedelta) -> list[Unneeded]:
    """Return everything that nobody needs and that has been so for the grace; raises like `orphan_objects`."""
    before = lake.clock().astimezone(UTC) - grace
    listed = listed_objects(lake.home)
    return [*orphan_objects(lake, listed, before=before), *leftovers(lake, before=before)]


def check_grace(grace: timedelta) -> None:
    """Raise ConfigError for a grace in which a step that runs could lose what it just wrote."""
    if grace < LEAST_GRACE:
        raise ConfigError("--grace-days: orphans are kept for at least 1 day: a step that runs has no rows yet")


def show_unneeded(lake: Lake, found: Iterable[Unneeded]) -> None:
    """Note what a dry run showed."""
    lake.files.put(SHOWN, json.dumps([each.name for each in found]).encode())


def remove_unneeded(lake: Lake, found: Collection[Unneeded]) -> list[Unneeded]:
    """Remove what a dry run has shown and nobody needs still; return it.

    Raises:
        ConfigError: If there was no dry run.
    """
    try:
        shown = set(json.loads(lake.files.read_whole(SHOWN)))
    except (FileNotFoundError, ValueError):
        raise ConfigError(
            f"{lake.home}: nothing was shown yet: run `petrel maintain --orphans --dry-run` first, look at what it "
            "prints, and run this again"
        ) from None
    gone = [each for each in found if each.name in shown]
    for each in gone:
        lake.files.delete(each.name)
    lake.files.delete(SHOWN)
    return gone


def _is_old(each: Stat, before: datetime) -> bool:
    return each.modified is not None and each.modified <= before
