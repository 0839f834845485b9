"""du: how many bytes of a lake what takes, told from several sides."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from lakehouse.care.copied import DATASETS
from lakehouse.care.orphans import listed_objects
from lakehouse.lake import Lake
from lakehouse.query import fetch
from lakehouse.tables.read import head
from lakehouse.verification.places import place_of
from lakehouse.verification.tables import live_files
from loaders.stores.storage import Stat
from schemas.tables import TABLES

BY_SOURCE = """
with seen as (select distinct source, object_uri from bronze.landed_files where status = 'stored')
select coalesce(s.source, '(no source)') as name, count(*) as files, cast(sum(l.found_bytes) as bigint) as bytes
from listed l left join seen s on s.object_uri = l.object_uri group by 1 order by 3 desc, 1
"""

BY_MEDIA_TYPE = """
select coalesce(e.media_type, '(no entity)') as name, count(*) as files, cast(sum(l.found_bytes) as bigint) as bytes
from listed l left join silver.entities e on e.object_uri = l.object_uri group by 1 order by 3 desc, 1
"""

BY_AGE = """
select case when modified_at is null then 'unknown' when modified_at > $week then '0 to 7 days'
    when modified_at > $month then '7 to 30 days' when modified_at > $year then '30 to 365 days'
    else 'over 365 days' end as name, count(*) as files, cast(sum(found_bytes) as bigint) as bytes
from listed group by 1 order by 3 desc, 1
"""

LINKED = """
with seen as (select distinct source, uri, size_bytes from bronze.landed_files where status = 'linked')
select source as name, count(*) as files, cast(sum(size_bytes) as bigint) as bytes from seen
group by 1 order by 3 desc, 1
"""


@dataclass(frozen=True, slots=True)
class Use:
    """What one part of a lake takes.

    Attributes:
        by: `source`, `media type` and `age` tell objects, each kind all of them (an object of two sources is told for
            both); `dataset` published versions, what each has alone and what those of one name share on a disk; `table`
            the newest version of a table, `old versions` the files that only earlier ones have, `log` its log;
            `linked` files that the lake knows and does not hold.
        name: Which one.
        files: How many.
        bytes: Their size.
    """

    by: str
    name: str
    files: int
    bytes: int


def usage(lake: Lake) -> Iterator[Use]:
    """Yield what takes room in a lake; objects and published versions are listed, none is asked for one by one.

    Raises:
        TableError: If a table is damaged.
        StorageError: If the storage refuses, or does not answer.
    """
    now = lake.clock()
    ages = {name: now - timedelta(days=days) for name, days in (("week", 7), ("month", 30), ("year", 365))}
    inputs = {"listed": lake.engine.from_arrow(listed_objects(lake.home))}
    for by, text in (("source", BY_SOURCE), ("media type", BY_MEDIA_TYPE), ("age", BY_AGE)):
        for row in fetch(lake, text, inputs=inputs, params=ages):
            yield Use(by, row["name"], row["files"], row["bytes"])
    yield from _datasets(lake)
    yield from _tables(lake)
    for row in fetch(lake, LINKED):
        yield Use("linked", row["name"], row["files"], row["bytes"])


def _datasets(lake: Lake) -> Iterator[Use]:
    files: dict[object, list[Stat]] = {}
    for each in lake.files.list(DATASETS):
        files.setdefault(_file_of(lake, each), []).append(each)
    found: dict[str, list[int]] = {}
    for names in files.values():
        name, version = names[0].name.split("/")[1:3]
        # Versions of a name share parts: removing one of them frees its own bytes, and not these.
        found.setdefault(f"{name}/{version}" if len(names) == 1 else f"{name} (shared by versions)", []).append(
            names[0].size
        )
    for place, sizes in sorted(found.items(), key=lambda each: (-sum(each[1]), each[0])):
        yield Use("dataset", place, len(sizes), sum(sizes))


def _file_of(lake: Lake, each: Stat) -> object:
    """Return what is equal for names of one file: on a local disk it may have several."""
    if not lake.home.is_local:
        return each.name
    with contextlib.suppress(FileNotFoundError):  # gone since
        found = os.stat(lake.home.shared.folder / each.name)
        return found.st_dev, found.st_ino
    return each.name


def _tables(lake: Lake) -> Iterator[Use]:
    for table in TABLES:
        place = place_of(lake.home, table)
        live = {each.name for each in live_files(place, head(lake.home, table))}
        parts: dict[str, list[int]] = {"table": [], "old versions": [], "log": []}
        for each in lake.files.list(place.folder_name):
            name = each.name.removeprefix(f"{place.folder_name}/")
            parts["log" if "/" in name else "table" if name in live else "old versions"].append(each.size)
        for by, sizes in parts.items():
            if sizes:
                yield Use(by, table.name, len(sizes), sum(sizes))
