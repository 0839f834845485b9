"""dimensions: silver.entities -> silver.dimensions, silver.rejected."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping

import pyarrow as pa

from lakehouse.derived.places import IS_REFERENCE, OF_PARENT, PLACE, STORED_URI
from lakehouse.dimensions.extract import OUTPUTS, UNREADABLE, extract_batches
from lakehouse.engines import Relation
from lakehouse.erasures import erased_entities
from lakehouse.errors import IngestError
from lakehouse.extractors.extractor import Extractor
from lakehouse.extractors.registry import check_distinct
from lakehouse.extractors.registry import extractors as registered
from lakehouse.lake import Lake
from lakehouse.media.kinds.registry import judges_of
from lakehouse.objects import is_away
from lakehouse.query import fetch, newer, query
from lakehouse.steps.between_erasures import between_erasures
from lakehouse.steps.expired import expired
from lakehouse.steps.outputs import insert_outputs
from lakehouse.steps.receipts import Receipt
from lakehouse.steps.rejects import RULES
from lakehouse.steps.step import StepRecord, balance, step
from lakehouse.steps.upto import Versions, done_upto, heads_of, keep_upto
from schemas.tables import DIMENSIONS, ENTITIES, REJECTED

ROWS_PER_TASK = 128

MISSING = f"""
select e.entity_id, {STORED_URI} as object_uri, {PLACE} as place, e.media_type, list(distinct w.extractor) as missing
from entities e cross join wanted w {OF_PARENT.format(parents="parents")}
anti join expired g on g.entity_id = e.entity_id
anti join expired x on x.entity_id = p.entity_id
anti join dimensions d
    on d.entity_id = e.entity_id and d.extractor = w.extractor and d.extractor_version = w.version
anti join (select subject, location from rejected where step = 'dimensions' and rule <> $retried) r
    on r.subject = e.entity_id and r.location = w.key
where e.first_version > $done and {STORED_URI} is not null and starts_with(e.media_type, w.media_type)
group by e.entity_id, {STORED_URI}, {PLACE}, e.media_type
"""
"""Entities with the extractors whose current version has neither measured nor rejected them."""

PARENTS = "select entity_id, object_uri from silver.entities where object_uri is not null"

READS = (DIMENSIONS, REJECTED, ENTITIES)
"""In the order in which they are looked at: what was measured of an entity is in a version after the entity's own."""

PAIRS = "select count(*) as entities, cast(coalesce(sum(array_length(missing)), 0) as bigint) as pairs from todo"

LINKED_FOLDERS = """
select min(object_uri) as example from todo where object_uri like '%://%'
group by case when object_uri like 'file://%' then regexp_replace(object_uri, '/[^/]*$', '')
    else regexp_extract(object_uri, '^[^/]*//[^/]*', 0) end
order by example
"""

OUTCOME = """
select
    (select count(*) from (
        select distinct entity_id, extractor from outputs where target_table = 'silver.dimensions'
    ) m) as measured,
    (select count(*) from outputs where target_table = 'silver.rejected') as rejected
"""

WANTED: Mapping[str, pa.DataType] = {
    "extractor": pa.string(), "version": pa.int32(), "key": pa.string(), "media_type": pa.string(),
}


def dimensions(lake: Lake, *, extractors: Iterable[Extractor] | None = None) -> Receipt:
    """Measure what is missing: every (entity, extractor, version) pair that was neither measured nor rejected.

    A second run finds no pair and reads no bytes; one after new entities looks at these alone. Pairs
    whose bytes could not be read are tried again.

    Args:
        lake: The lake.
        extractors: Who measures; None means everyone in the registry.

    Returns:
        Receipt with counts of pairs, seen = measured + rejected, after `entities` that were read. Its notes tell by
        rule what was rejected.

    Raises:
        ConfigError: If extractors clash or an entry point is broken.
        CheckFailedError: If the counts do not balance.
        IngestError: If a folder with linked files is away.
    """
    chosen = registered() if extractors is None else check_distinct(extractors)
    versions = heads_of(lake, READS)
    who = {"extractors": sorted(each.key for each in chosen), "media": judges_of(lake.config).facts}
    with step(lake, "dimensions", inputs={ENTITIES.name: versions[ENTITIES.name], **who}) as record:
        if not record.unchanged:
            done = done_upto(lake, "dimensions", READS, who)
            _measure(lake, chosen, record, done)
            if UNREADABLE not in record.notes:
                keep_upto(lake, "dimensions", READS, who, versions=versions)
    return record.finished()


def _measure(lake: Lake, chosen: tuple[Extractor, ...], record: StepRecord, done: Versions | None) -> None:
    inputs = {table.name.partition(".")[2]: newer(lake, table, None if done is None else done[table.name])
              for table in READS}
    inputs["expired"] = expired(lake)
    inputs["parents"] = _parents(lake, inputs["entities"])
    inputs["wanted"] = lake.engine.from_arrow(wanted_of(chosen))
    params = {"retried": UNREADABLE, "done": -1 if done is None else done[ENTITIES.name]}
    todo = lake.engine.stage(query(lake, MISSING, inputs=inputs, params=params))
    _check_folders(lake, todo)
    due = fetch(lake, PAIRS, inputs={"todo": todo})[0]
    found = _extract(lake, todo, chosen, record) if due["pairs"] else {"measured": 0, "rejected": 0}
    record.counts = {"entities": due["entities"], "seen": due["pairs"], **found}
    balance("dimensions", "pairs of entity and extractor", found, due["pairs"])
    record.counts_again = dict.fromkeys(record.counts, 0)
    # Bytes that could not be read this time may be readable the next.
    record.complete = found["rejected"] == 0


def _parents(lake: Lake, entities: Relation) -> Relation:
    """Return what those of these entities are made of that are not stored; it is looked for where there are any."""
    there = fetch(lake, f"select count(*) as n from entities e where {IS_REFERENCE}", inputs={"entities": entities})
    if there[0]["n"]:
        return query(lake, PARENTS)
    return lake.engine.from_arrow(pa.table({name: pa.array([], pa.string()) for name in ("entity_id", "object_uri")}))


def _check_folders(lake: Lake, todo: Relation) -> None:
    # A disk that is not mounted is no fault of its files: thousands of rejections would say so of each.
    folders = [row["example"] for row in fetch(lake, LINKED_FOLDERS, inputs={"todo": todo})]
    away = [each.rpartition("/")[0] for each in folders if is_away(lake.home, each)]
    if away:
        raise IngestError(
            f"{len(away):,} of {len(folders):,} folders with linked files are away, the first is {away[0]}; mount or "
            "put them back. Where their files are gone for good, make the folders anew: each file is rejected then"
        )


def _extract(lake: Lake, todo: Relation, chosen: tuple[Extractor, ...], record: StepRecord) -> Mapping[str, int]:
    erased = erased_entities(lake.home)
    outputs = lake.engine.map_batches(
        todo,
        functools.partial(
            extract_batches, root=lake.home, extractors=chosen, judges=judges_of(lake.config), now=lake.clock()
        ),
        OUTPUTS,
        rows_per_task=ROWS_PER_TASK,
        label="dimensions",
    )
    with between_erasures(lake, functools.partial(_ids, lake, todo), erased):
        record.writes.extend(insert_outputs(lake, outputs, (DIMENSIONS, REJECTED), step="dimensions").values())
    found = fetch(lake, OUTCOME, inputs={"outputs": outputs})[0]
    for row in fetch(lake, RULES, inputs={"outputs": outputs}) if found["rejected"] else ():
        record.note(row["rule"], f"{'' if found['measured'] else 'nothing could be measured; '}{row['reason']}",
                    count=row["n"])
    return {"measured": found["measured"], "rejected": found["rejected"]}


def _ids(lake: Lake, todo: Relation) -> list[str]:
    return [row["entity_id"] for row in fetch(lake, "select distinct entity_id from todo", inputs={"todo": todo})]


def wanted_of(chosen: Iterable[Extractor]) -> pa.Table:
    """Return extractor, version, key and media_type of extractors: a row for each beginning of a media type."""
    rows = [
        {"extractor": each.name, "version": each.version, "key": each.key, "media_type": media_type}
        for each in chosen
        for media_type in each.media_types
    ]
    return pa.Table.from_pylist(rows, schema=pa.schema(WANTED))
