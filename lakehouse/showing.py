"""Everything a lake knows about one thing: where it was seen, what was measured and said, which datasets have it."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Any

from lakehouse.erasures import erasures
from lakehouse.errors import ConfigError
from lakehouse.lake import Lake
from lakehouse.objects import file_uri
from lakehouse.query import fetch

Row = dict[str, Any]

ID = re.compile(r"[0-9a-f]{6,64}")
SHOWN = 5
"""How many candidates a message names."""

BY_ID = """
select s.thing, min(s.path) as path from (
    select e.entity_id as thing, cast(null as varchar) as path from silver.entities e where e.entity_id like $prefix
    union all
    select b.sha256 as thing, b.path from bronze.landed_files b where b.sha256 like $prefix
) as s group by s.thing order by s.thing limit 20
"""

# Samples that are no entities, as crops of a dataset: asked only where nothing else has such an id.
BY_SAMPLE = """
select m.entity_id as thing, cast(null as varchar) as path from gold.dataset_members m
where m.operation is not null and m.entity_id like $prefix group by m.entity_id order by m.entity_id limit 20
"""

# A file that was refused has no bytes that we know: its landing stands for it.
BY_NAME = """
select coalesce(b.sha256, b.landed_id) as thing, min(concat(b.source, ': ', b.path)) as path
from bronze.landed_files b
where b.path = $name or b.name = $name or b.uri = $name or b.uri = $uri or b.path like $ending
group by coalesce(b.sha256, b.landed_id) order by path, thing limit 20
"""

LANDED = """
select source, drop_name, path, uri, status, rule, reason, size_bytes, sha256, mtime_at, landed_at, licence, campaign,
    sidecar_json, landed_id
from bronze.landed_files where sha256 = $thing or landed_id = $thing order by landed_at, source, path, landed_id
"""

DIMENSIONS = """
select dimension, coalesce(text, cast(number as varchar), cast(boolean as varchar), cast(instant as varchar)) as value,
    unit, extractor, extractor_version
from current_dimensions where entity_id = $thing order by dimension
"""

OPINIONS = """
select o.question_id, o.actor_id, o.op, o.value_kind, o.label, o.labels, o.number, o.text, o.ranking, o.regions,
    o.probs, o.votes, o.confidence, o.slot, o.event_time, o.ingest_time, o.ingest_seq, o.batch_id, o.opinion_id,
    o.target_opinion_id, o.reason, c.opinion_id is not null as is_current
from silver.opinions o
left join (select opinion_id, subject_id from current_opinions) c
    on c.opinion_id = o.opinion_id and c.subject_id = $thing
where o.subject_id = $thing
order by o.question_id, o.ingest_seq desc, o.opinion_id
"""

DATASETS = """
select d.name, d.dataset_id, d.built_at, m.split, m.label, m.selected_because,
    cast(null as varchar) as excluded_because, cast(null as varchar) as detail
from gold.dataset_members m join gold.datasets d on d.dataset_id = m.dataset_id
where exists (
    select 1 from member_entities s
    where s.dataset_id = m.dataset_id and s.member_id = m.entity_id and (s.entity_id = $thing or s.member_id = $thing)
)
union all
select d.name, d.dataset_id, d.built_at, null, null, null, x.reason, x.detail
from gold.dataset_exclusions x join gold.datasets d on d.dataset_id = x.dataset_id where x.entity_id = $thing
order by name, built_at, dataset_id
"""

PATHS = "select distinct path from bronze.landed_files order by path limit 5000"
"""Where a mistyped name is looked for: enough to find it, few enough to compare."""

REJECTED = """
select step, rule, reason, source, location, rejected_at from silver.rejected
where subject = $thing or subject in (select landed_id from bronze.landed_files where sha256 = $thing)
order by rejected_at, step, rule
"""


@dataclass(frozen=True, slots=True)
class Shown:
    """What is known about one thing.

    Attributes:
        id: Entity id, or for a file that was refused the id of its landing.
        entity: Its row of silver.entities; None where it became no entity.
        landed: Every observation of its bytes, in the order of landing.
        dimensions: What was measured, newest version of each.
        opinions: All that was said, by question, newest first; `is_current` marks what holds now.
        datasets: Versions it is in (split, label), and versions that left it out (why).
        rejected: What did not pass, with rule and reason.
    """

    id: str
    entity: Row | None
    landed: list[Row]
    dimensions: list[Row]
    opinions: list[Row]
    datasets: list[Row]
    rejected: list[Row]


def show(lake: Lake, wanted: str) -> Shown:
    """Return everything the lake knows about one thing.

    Args:
        lake: The lake.
        wanted: An entity id or the first 6 digits of one or more, else a landed path, name or file.

    Raises:
        ConfigError: If there is no such thing, it was erased, or there are several; the message names them.
    """
    thing = find_thing(lake, wanted)
    named = {"thing": thing}
    entity = fetch(lake, "select * from silver.entities where entity_id = $thing", params=named)
    return Shown(
        thing,
        entity[0] if entity else None,
        *(fetch(lake, text, params=named) for text in (LANDED, DIMENSIONS, OPINIONS, DATASETS, REJECTED)),
    )


def find_thing(lake: Lake, wanted: str) -> str:
    """Return the id that a text names: an entity id or its first 6 digits or more, a landed path, name or file.

    Raises:
        ConfigError: If there is no such thing, it was erased, or there are several; the message names them.
    """
    found: list[dict[str, Any]] = []
    if ID.fullmatch(wanted):
        params = {"prefix": f"{wanted}%"}
        found = fetch(lake, BY_ID, params=params) or fetch(lake, BY_SAMPLE, params=params)
    if not found:
        params = {"name": wanted, "uri": file_uri(wanted), "ending": f"%/{_literal(wanted)}"}
        found = fetch(lake, BY_NAME, params=params)
    if len(found) == 1:
        return str(found[0]["thing"])
    if found:
        several = "; ".join(f"{row['thing'][:12]} ({row['path'] or 'sample'})" for row in found[:SHOWN])
        more = ", ..." if len(found) > SHOWN else ""
        raise ConfigError(f"`{wanted}` is not one thing: {several}{more}; give one of these ids, or a longer path")
    _tell_erased(lake, wanted)
    names = [row["path"] for row in fetch(lake, PATHS)]
    short = {path.rpartition("/")[2]: path for path in names} | {path: path for path in names}
    close = [short[name] for name in difflib.get_close_matches(wanted, short, n=1, cutoff=0.6)]
    meant = f"; did you mean `{close[0]}`?" if close else ""
    raise ConfigError(
        f"nothing called `{wanted}` in the lake {lake.home}{meant}; give an entity id, its first 6 digits or more, or "
        "the path or name of a landed file"
    )


def _tell_erased(lake: Lake, wanted: str) -> None:
    for erasure in erasures(lake.home) if ID.fullmatch(wanted) else ():
        for thing in erasure.entities:
            if thing.startswith(wanted):
                raise ConfigError(
                    f"{thing} was erased from the lake {lake.home} on {erasure.erased_at[:10]} (erasure "
                    f"{erasure.erasure_id}: {erasure.reason}); nothing is kept of what it was, was called or answered"
                )


def _literal(text: str) -> str:
    # No way of escaping in LIKE is the same in both dialects: `_` stands for whatever would be part of a pattern.
    return text.replace("%", "_").replace("\\", "_")
