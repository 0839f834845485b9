"""Making changes: entities come into a virtual dataset or go out of it, and an earlier change is taken back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from lakehouse.changes.folding import REVERT, Change, standing
from lakehouse.changes.reading import changes_of, entities_of, known_changes
from lakehouse.engines import Relation
from lakehouse.errors import ConfigError, QueryFailedError
from lakehouse.lake import Lake
from lakehouse.names import DATASET_NAME, nearest
from lakehouse.query import Pins, count_rows, fetch, query
from lakehouse.sql.contained import user_query
from lakehouse.steps.receipts import Receipt
from lakehouse.steps.step import StepRecord, step
from lakehouse.strangers import strangers
from lakehouse.tables.digest import relation_digest
from lakehouse.tables.finish import finished
from lakehouse.tables.insert import insert, insert_rows
from lakehouse.tables.locks import lake_lock
from lakehouse.tables.read import pin_heads
from schemas.canonical import content_id, text_json
from schemas.tables import CHANGESET_ENTITIES, CHANGESETS, ENTITIES, ENTITY_SOURCES

LONGEST_MESSAGE = 1_000

OF_SOURCES = "select distinct entity_id from silver.entity_sources where source in $sources"

WHAT = """
select e.media_type, count(*) as entities, sum(e.size_bytes) as bytes
from named n join silver.entities e on e.entity_id = n.entity_id group by e.media_type order by e.media_type
"""

SOURCES = """
select s.source, count(distinct s.entity_id) as entities
from named n join silver.entity_sources s on s.entity_id = n.entity_id group by s.source order by s.source
"""

DIFFERENT = """
select (select count(*) from now n where not exists (select 1 from before b where b.entity_id = n.entity_id)) as came,
    (select count(*) from before b where not exists (select 1 from now n where n.entity_id = b.entity_id)) as went
"""

NOTHING = "select entity_id from silver.entities where false"


def add_change(
    lake: Lake,
    name: str,
    *,
    sources: Sequence[str] = (),
    sql: str = "",
    params: Mapping[str, object] | None = None,
    drop: bool = False,
    message: str = "",
    tags: Sequence[str] = (),
) -> Receipt:
    """Add entities to a virtual dataset, or drop entities from it: one change more.

    Args:
        lake: The lake.
        name: Name of the virtual dataset, as datasets have them; its first change makes it.
        sources: Every entity that came from one of these sources, as the lake is now; or
        sql: one SELECT with entity_id.
        params: Values for `$name` in it.
        drop: Drop them; those that are not in are named nevertheless.
        message: Why, for people.
        tags: Names by which recipes choose.

    Returns:
        Receipt with counts entities, came and went, and details name and number. The same change again that would
        change nothing is not recorded: the receipt has the number of the one that stands.

    Raises:
        ConfigError: If nothing is named, a name cannot be one, or no entity came from a source.
        QueryRefusedError: If the SQL is not one query that only reads.
        ConcurrentWriteError: If somebody else was changing it for too long.
    """
    _check(name, message, tags)
    if bool(sources) == bool(sql):
        raise ConfigError(f"change of {name}: name entities by sources, or by one query, and not by both")
    selection: dict[str, object] = {"sources": sorted(set(sources))} if sources else {"sql": sql}
    if params:
        selection["params"] = dict(params)
    pins = pin_heads(lake, [ENTITIES.name, ENTITY_SOURCES.name])
    with step(lake, "change", reads=pins) as record, lake_lock(lake, f"changes-{name}"):
        named = lake.engine.stage(_named(lake, name, sources, sql, params, pins))
        op, known = "drop" if drop else "add", known_changes(lake, name)
        entities_id, total = _id_of(lake, named)
        last = next((each for each in reversed(standing(known)) if each.entities_id == entities_id), None)
        change = Change(len(known) + 1, op, None, entities_id, tuple(sorted(set(tags))))
        record.details = {"name": name, "number": str(change.number)}
        rows = _hashed(lake, named, entities_id)
        record.writes.append(insert(lake, CHANGESET_ENTITIES, rows, step="change"))
        came, went = _difference(lake, name, known, named, drop=drop)
        record.counts = {"entities": total, "came": came, "went": went}
        if last is not None and (last.op, last.tags) == (op, change.tags) and not came and not went:
            record.details["number"] = str(last.number)
            record.note("no_change", f"{name}: change {last.number} says the same, and nothing would change")
        else:
            statistics = record.counts | _about(lake, named)
            _record(lake, name, change, selection, statistics, message, record)
    return record.finished()


def revert_change(lake: Lake, name: str, number: int, *, message: str = "") -> Receipt:
    """Take one change back; later ones stay, and what they said about the same entities holds.

    Reverting a revert brings the change back.

    Returns:
        Receipt with counts came and went, and details name, number and reverts.

    Raises:
        ConfigError: If there is no such change, or it is taken back already.
    """
    _check(name, message, ())
    with step(lake, "change") as record, lake_lock(lake, f"changes-{name}"):
        known = changes_of(lake, name)
        found = next((each for each in known if each.number == number), None)
        if found is None:
            raise ConfigError(f"{name}: no change {number}; it has 1 to {len(known)}")
        change = Change(len(known) + 1, REVERT, number)
        after = standing([*known, change])
        if after == standing(known):
            raise ConfigError(f"{name}: change {number} is taken back already; see `petrel changes list {name}`")
        came, went = _compared(lake, _held(lake, name, known), _held(lake, name, [*known, change]))
        record.counts = {"came": came, "went": went}
        record.details = {"name": name, "number": str(change.number), "reverts": str(number)}
        _record(lake, name, change, None, {"entities": came + went} | record.counts, message, record)
    return record.finished()


def _check(name: str, message: str, tags: Sequence[str]) -> None:
    for what, word in (("name", name), *(("tag", tag) for tag in tags)):
        if not DATASET_NAME.fullmatch(word):
            raise ConfigError(f"{what} {word!r} of a change: use up to 100 lower-case letters a-z, digits, _ and -")
    if len(message) > LONGEST_MESSAGE:
        raise ConfigError(f"message of a change of {name}: {len(message):,} characters; at most {LONGEST_MESSAGE:,}")


def _named(
    lake: Lake, name: str, sources: Sequence[str], sql: str, params: Mapping[str, object] | None, pins: Pins
) -> Relation:
    if sources:
        known = fetch(lake, "select distinct source from silver.entity_sources", pins=pins)
        names = [row["source"] for row in known]
        for each in sources:
            if each not in names:
                like = nearest(each, names) if names else "; land files and make entities of them first"
                raise ConfigError(f"change of {name}: no entity came from source `{each}`{like}")
        return query(lake, OF_SOURCES, params={"sources": sorted(set(sources))}, pins=pins)
    found = _selected(lake, name, sql, params, pins)
    named = lake.engine.from_arrow(pa.table([found], names=["entity_id"]))
    strange, example = strangers(lake, named, pins)
    if strange:
        raise ConfigError(
            f"change of {name}: {strange} of {len(found)} ids that the query returns, for example {example!r}, are no "
            "entities of this lake; join with entities"
        )
    return named


def _selected(
    lake: Lake, name: str, sql: str, params: Mapping[str, object] | None, pins: Pins
) -> pa.ChunkedArray:
    try:
        found = user_query(lake.home, sql, params=params, pins=pins, limits=lake.config.sql)
    except QueryFailedError as error:
        raise ConfigError(f"change of {name}: the query fails: {error}") from error
    if found.column_names.count("entity_id") != 1:
        raise ConfigError(
            f"change of {name}: the query returns {', '.join(found.column_names)}; it must return entity_id, once"
        )
    ids = found["entity_id"].cast(pa.string()).unique().drop_null()
    if not len(ids):
        raise ConfigError(f"change of {name}: the query names no entity; run it with `petrel sql` to see why")
    return ids


def _id_of(lake: Lake, named: Relation) -> tuple[str, int]:
    """Return the id of a set of entities, free of their order, and how many there are."""
    ids = query(lake, "select entity_id as row_hash from named", inputs={"named": named})
    digest = relation_digest(lake.engine, ids)
    return content_id({"entities": str(digest)}), digest.rows


def _hashed(lake: Lake, named: Relation, entities_id: str) -> Relation:
    text = "select $id as entities_id, entity_id from named"
    rows = query(lake, text, inputs={"named": named}, params={"id": entities_id})
    return finished(lake, rows, CHANGESET_ENTITIES, label="changes")


def _held(lake: Lake, name: str, changes: Sequence[Change]) -> Relation:
    stand = standing(changes)
    return entities_of(lake, name, stand) if stand else query(lake, NOTHING)


def _difference(lake: Lake, name: str, known: Sequence[Change], named: Relation, *, drop: bool) -> tuple[int, int]:
    before = lake.engine.stage(_held(lake, name, known))
    both = "select b.entity_id from before b join named n on n.entity_id = b.entity_id"
    shared = count_rows(lake, query(lake, both, inputs={"before": before, "named": named}))
    return (0, shared) if drop else (count_rows(lake, named) - shared, 0)


def _compared(lake: Lake, before: Relation, now: Relation) -> tuple[int, int]:
    row = fetch(lake, DIFFERENT, inputs={"before": lake.engine.stage(before), "now": lake.engine.stage(now)})[0]
    return row["came"], row["went"]


def _about(lake: Lake, named: Relation) -> dict[str, object]:
    kinds = fetch(lake, WHAT, inputs={"named": named})
    sources = fetch(lake, SOURCES, inputs={"named": named})
    return {
        "bytes": sum(int(row["bytes"]) for row in kinds),
        "media_types": {row["media_type"]: row["entities"] for row in kinds},
        "sources": {row["source"]: row["entities"] for row in sources},
    }


def _record(
    lake: Lake,
    name: str,
    change: Change,
    selection: Mapping[str, object] | None,
    statistics: Mapping[str, Any],
    message: str,
    record: StepRecord,
) -> None:
    row = {
        "name": name, "number": change.number, "op": change.op, "reverts": change.reverts,
        "entities_id": change.entities_id, "message": message or None, "tags": list(change.tags),
        "selection_json": None if selection is None else text_json(selection),
        "statistics_json": text_json(dict(statistics)), "author": lake.config.lake.author or None,
    }  # fmt: skip
    # Last: without it nothing has changed.
    record.writes.append(insert_rows(lake, CHANGESETS, [row], step="change"))
