"""reify: opinions about tracks, or positions -> silver.entities that stand for objects, and silver.object_members."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from lakehouse.consensus.reading import asked_of
from lakehouse.erasures import erased_entities
from lakehouse.errors import ConfigError, RejectedInputError
from lakehouse.lake import Lake
from lakehouse.names import nearest
from lakehouse.query import fetch
from lakehouse.reifying.clusters import NOWHERE, clusters_of
from lakehouse.reifying.members import POSITION, TRACK, Assigned, Member, assigned
from lakehouse.reifying.places import cell_of
from lakehouse.reifying.tracks import is_shape, track_groups
from lakehouse.sql.contained import user_query
from lakehouse.steps.between_erasures import between_erasures
from lakehouse.steps.receipts import Receipt
from lakehouse.steps.rejects import rejected_row
from lakehouse.steps.step import StepRecord, balance, step
from lakehouse.tables.insert import insert_rows
from lakehouse.tables.locks import lake_lock
from schemas.canonical import canonical_json, content_id
from schemas.tables import ENTITIES, OBJECT_MEMBERS, REJECTED

STEP = "reify"
LOCK = "reify"

OBJECT, PLACE = "object", "place"
"""Operations of entities that stand for something; their media types are `application/vnd.petrel.<operation>`."""

POSITIONS = ("entity_id", "latitude", "longitude")
SEEN_AT = "seen_at"

ANSWERS = """
select o.subject_id, o.question_id, o.actor_id, a.kind as actor_kind, o.slot, o.ingest_seq, o.regions
from current_opinions o join silver.actors a on a.actor_id = o.actor_id
where o.question_id = $question and o.op = 'assert' and o.value_kind = 'regions'
order by o.subject_id, o.ingest_seq, o.actor_id, o.slot
"""

HELD = """
with newest as (
    select *, row_number() over (partition by object_id, member_id, part order by ordinal desc) as place
    from silver.object_members where scope = $scope
)
select object_id, member_id, part, ordinal, op, frame_start, frame_end, seen_at, superseded_by from newest
where place = 1
"""

AGES = "select entity_id, first_version from silver.entities where operation = $operation"

AGES_OF = "select e.entity_id, e.first_version from silver.entities e semi join ids on ids.entity_id = e.entity_id"

MOST_TIMES = 1_000
"""Objects that one member may have founded, one after the other."""

PARENTS = """
select e.entity_id, e.group_keys, e.origin, e.captured_at from silver.entities e
semi join ids on ids.entity_id = e.entity_id
"""


@dataclass(frozen=True, slots=True)
class _Kind:
    """One way of reifying.

    Attributes:
        scope: What made the rows.
        operation: Of the entities.
        role: Of their members.
        is_fixed: Whether an id is what it is, whoever was a member: that of a cell. Others stay with their members.
    """

    scope: str
    operation: str
    role: str
    is_fixed: bool = False


def reify_tracks(lake: Lake, question: str, *, actors: Sequence[str] = (), min_iou: float = 0.5) -> Receipt:
    """Make one object of the tracks in a video that follow one thing.

    Args:
        lake: The lake.
        question: What was asked; boxes with a track id are looked at.
        actors: Whose tracks; () takes those of everybody. Each choice of actors has objects of its own.
        min_iou: Overlap over all frames from which tracks of two answers are of one thing, above 0 to 1.

    Returns:
        Receipt with counts members = joined + same, left, objects, new_objects, superseded and rejected (videos whose
        tracks contradict themselves: what is held of them stays).

    Raises:
        ConfigError: If there is no such question or actor, or `min_iou` is no share.
        IngestError: If a video was erased meanwhile; nothing was written.
        TableError: If a file of a table is missing or damaged.
    """
    if not 0.0 < min_iou <= 1.0:
        raise ConfigError(f"min_iou {min_iou}: expected a share above 0, at most 1")
    whose = f" of {', '.join(sorted(set(actors)))}" if actors else ""
    kind = _Kind(f"tracks {question}{whose}", OBJECT, TRACK)
    with step(lake, STEP) as record, lake_lock(lake, LOCK):
        asked_of(lake, question)
        erased = erased_entities(lake.home)
        rows = fetch(lake, ANSWERS, params={"question": question})
        known = {row["actor_id"] for row in rows}
        for actor in actors:
            if actor not in known:
                raise ConfigError(f"question {question}: no tracks of {actor}{nearest(actor, known)}")
        by_subject: dict[str, list[Mapping[str, Any]]] = {}
        for row in rows:
            if not actors or row["actor_id"] in actors:
                by_subject.setdefault(row["subject_id"], []).append(row)
                other = sum(not is_shape(region) for region in row["regions"] or ())
                if other:
                    record.note("no_track", f"{row['subject_id']}: regions of {row['actor_id']} that are no boxes of "
                                "tracks make no object", count=other)  # fmt: skip
        groups: list[list[Member]] = []
        problems = {}
        for subject, answers in by_subject.items():
            try:
                groups += track_groups(answers, min_iou=min_iou)
            except RejectedInputError as error:
                problems[subject] = error

        def found(member: Member, times: int) -> tuple[str, dict[str, object]]:
            return _id_of(kind, {"member": member.member_id, "part": member.part, "scope": kind.scope, "times": times})

        _written(lake, kind, groups, found, problems, record, erased)
    return record.finished()


def reify_places(lake: Lake, sql: str, *, cell_m: float, name: str = "places") -> Receipt:
    """Make one place of the positions that lie in one cell of a grid on the earth; see `cell_of`.

    The id of a place is that of its cell: whoever comes, in whatever order, it is the same.

    Args:
        lake: The lake.
        sql: Query for entity_id, latitude, longitude (degrees) and, if stated, seen_at, gated like every query of
            people's; an entity that comes twice is an error. NULL: not known, no member.
        cell_m: Side of a cell, m.
        name: Tells grids for different things apart.

    Returns:
        As `reify_tracks`; rejected are positions that are none on the earth.

    Raises:
        ConfigError: If the query gives other columns, an entity twice or one that the lake has not.
        QueryRefusedError, QueryFailedError: If the query may not or cannot run.
        IngestError: If an entity was erased meanwhile; nothing was written.
        TableError: If a file of a table is missing or damaged.
    """
    if not 1.0 <= cell_m <= 1_000_000.0:
        raise ConfigError(f"cell_m {cell_m}: expected metres from 1 to 1,000,000")
    kind = _Kind(f"places {name}", PLACE, POSITION, is_fixed=True)
    with step(lake, STEP) as record, lake_lock(lake, LOCK):
        erased = erased_entities(lake.home)
        cells: dict[tuple[int, int], list[Member]] = {}
        places: dict[tuple[str, str], tuple[int, int]] = {}
        known, problems = _positions(lake, sql, record)
        for member, latitude, longitude in known:
            places[member.key] = cell = cell_of(latitude, longitude, cell_m)
            cells.setdefault(cell, []).append(member)

        def found(member: Member, times: int) -> tuple[str, dict[str, object]]:
            # Never taken: a cell is one group.
            return _id_of(kind, {"name": name, "cell_m": cell_m, "cell": list(places[member.key])})

        _written(lake, kind, list(cells.values()), found, problems, record, erased)
    return record.finished()


def reify_clusters(lake: Lake, sql: str, *, within_m: float, least: int = 1, name: str = "clusters") -> Receipt:
    """Make one place of the positions that hang together; see `clusters_of`.

    Ids stay with their members, as those of tracks: a place keeps its id while photos come and go, and of two that grow
    into one that of the older survives. So they hang on what was known when, and cells do not.

    Args:
        lake: The lake.
        sql: As for `reify_places`.
        within_m: Metres from which two positions are near.
        least: Positions, itself counted, that lie near to one that makes a place; 1: each is of a place.
        name: Tells clusters of different things apart; others metres or another `least` are others anyway.

    Returns:
        As `reify_places`, and where somebody is in no cluster the count `alone`.

    Raises:
        ConfigError, QueryRefusedError, QueryFailedError, IngestError, TableError: As `reify_places`; also if there are
            too many positions near to each other.
    """
    if not 0.1 <= within_m <= 1_000_000.0:
        raise ConfigError(f"within_m {within_m}: expected metres from 0.1 to 1,000,000")
    if least < 1:
        raise ConfigError(f"least {least}: expected 1 or more positions")
    kind = _Kind(f"clusters {name} within {float(within_m)} m of {least}", PLACE, POSITION)
    with step(lake, STEP) as record, lake_lock(lake, LOCK):
        erased = erased_entities(lake.home)
        known, problems = _positions(lake, sql, record)
        known.sort(key=lambda each: each[0])
        degrees = np.array([each[1:] for each in known], np.float64).reshape(-1, 2)
        groups: dict[int, list[Member]] = {}
        clusters = clusters_of(degrees, within_m=within_m, least=least).tolist()
        for (member, *_), place in zip(known, clusters, strict=True):
            groups.setdefault(place, []).append(member)
        if alone := groups.pop(NOWHERE, []):
            record.counts["alone"] = len(alone)

        def found(member: Member, times: int) -> tuple[str, dict[str, object]]:
            # Without the member, which may be erased before the place is; it is the parent.
            stated: dict[str, object] = {"name": name, "within_m": within_m, "least": least}
            made, _ = _id_of(kind, {**stated, "member": member.member_id, "times": times})
            return made, stated

        _written(lake, kind, list(groups.values()), found, problems, record, erased)
    return record.finished()


def _positions(
    lake: Lake, sql: str, record: StepRecord
) -> tuple[list[tuple[Member, float, float]], dict[str, RejectedInputError]]:
    """Return members with latitude and longitude, and why others have none; NULL is counted."""
    known: dict[str, tuple[Member, float, float]] = {}
    problems: dict[str, RejectedInputError] = {}
    rows = _rows_of_positions(lake, sql)
    names = sorted({row["entity_id"] for row in rows})
    asked = lake.engine.from_arrow(pa.table({"entity_id": pa.array(names, pa.string())}))
    ages = {row["entity_id"]: row["first_version"] for row in fetch(lake, AGES_OF, inputs={"ids": asked})}
    for row in rows:
        name, latitude, longitude = (row[each] for each in POSITIONS)
        if name in known or name in problems:
            raise ConfigError(f"places: two positions of {name}; give one, as the mean")
        if latitude is None or longitude is None:
            record.counts["unknown"] = record.counts.get("unknown", 0) + 1
        elif not (-90.0 <= latitude <= 90.0 and -180.0 <= longitude <= 180.0):
            reason = f"no position on the earth: latitude {latitude}, longitude {longitude}"
            problems[name] = RejectedInputError("no_position", reason)
        else:
            member = Member(ages.get(name, 0), name, seen_at=row.get(SEEN_AT))
            known[name] = member, float(latitude), float(longitude)
    return list(known.values()), problems


def _rows_of_positions(lake: Lake, sql: str) -> list[dict[str, Any]]:
    table = user_query(lake.home, sql, limits=lake.config.sql)
    if set(table.column_names) - {SEEN_AT} != set(POSITIONS):
        raise ConfigError(
            f"places: expected the columns {', '.join(POSITIONS)} and perhaps {SEEN_AT}, found "
            f"{', '.join(table.column_names)}"
        )
    rows: list[dict[str, Any]] = table.to_pylist()
    for row in rows:
        if not isinstance(row["entity_id"], str):
            raise ConfigError(f"places: entity_id is {row['entity_id']!r} in a row; expected the id of an entity")
        for name in POSITIONS[1:]:
            if row[name] is not None and (isinstance(row[name], bool | str) or not math.isfinite(float(row[name]))):
                raise ConfigError(f"places: {name} of {row['entity_id']} is {row[name]!r}; expected degrees")
        if row.get(SEEN_AT) is not None and not isinstance(row[SEEN_AT], datetime):
            raise ConfigError(f"places: {SEEN_AT} of {row['entity_id']} is {row[SEEN_AT]!r}; expected a timestamp")
    return rows


def _id_of(kind: _Kind, parameters: Mapping[str, object]) -> tuple[str, dict[str, object]]:
    stated = dict(parameters)
    return content_id({"operation": kind.operation, "parameters": stated}, digits=64), stated


def _written(
    lake: Lake, kind: _Kind, groups: Sequence[Sequence[Member]], found: Any, problems: Mapping[str, RejectedInputError],
    record: StepRecord, erased: frozenset[str],
) -> None:  # fmt: skip
    """Say which objects the groups are, and write what differs from what is held."""
    rows = fetch(lake, HELD, params={"scope": kind.scope})
    last = {(row["object_id"], row["member_id"], row["part"]): row for row in rows}
    # Of what cannot be judged now, what is held stays.
    now = {key: row for key, row in last.items() if row["op"] == "joins" and key[1] not in problems}
    ages = {row["entity_id"]: row["first_version"] for row in fetch(lake, AGES, params={"operation": kind.operation})}
    held = {(member, part): name for name, member, part in now}
    if kind.is_fixed:
        held = {}
    outcome = assigned(groups, held, ages, lambda member, times: str(found(member, times)[0]))
    if kind.is_fixed:
        outcome = _left(outcome, now)
    events, joined, left = _events(kind, outcome, last, now)
    parents = _parents(lake, [each.member_id for group in outcome.objects.values() for each in group])
    new = {name: group for name, group in outcome.objects.items() if name not in ages}
    entities = [_entity(kind, name, group[0], found, parents) for name, group in new.items()]
    rejects = [rejected_row(STEP, subject, error, location=kind.scope) for subject, error in sorted(problems.items())]
    taken = {*outcome.objects, *(each.member_id for group in groups for each in group)}
    with between_erasures(lake, lambda: taken, erased):
        # Objects first: a row of a member never names an entity that there is not.
        record.writes.append(insert_rows(lake, ENTITIES, entities, step=STEP))
        record.writes.append(insert_rows(lake, OBJECT_MEMBERS, events, step=STEP))
        record.writes.append(insert_rows(lake, REJECTED, rejects, step=STEP))
    for error in problems.values():
        record.note(error.rule, error.reason)
    for name, heir in outcome.superseded.items():
        if heir is not None:
            record.note("superseded", f"object {name} is {heir} now")
        else:
            record.note("without_members", f"object {name} has no members any more; what was said about it stays")
    members = sum(len(group) for group in outcome.objects.values())
    record.counts |= {
        "members": members, "joined": joined, "same": members - joined, "left": left,
        "objects": len(outcome.objects), "new_objects": len(new),
        "superseded": len(outcome.superseded), "rejected": len(problems),
    }  # fmt: skip
    balance(STEP, "members", {name: record.counts[name] for name in ("joined", "same")}, members)


def _left(outcome: Assigned, now: Mapping[tuple[str, str, str], Any]) -> Assigned:
    """Return the outcome with the places that nobody is at any more."""
    gone = sorted({name for name, _, _ in now} - outcome.objects.keys())
    return Assigned(outcome.objects, dict.fromkeys(gone))


def _events(
    kind: _Kind, outcome: Assigned, last: Mapping[tuple[str, str, str], Any], now: Mapping[tuple[str, str, str], Any]
) -> tuple[list[dict[str, object]], int, int]:
    """Return rows, how many members joined (also with another interval), and how many left."""
    wanted = {(name, *each.key): each for name, group in outcome.objects.items() for each in group}
    rows: list[dict[str, object]] = []

    def event(key: tuple[str, str, str], op: str, **said: object) -> None:
        name, member, part = key
        ordinal = last[key]["ordinal"] + 1 if key in last else 1
        rows.append({"object_id": name, "member_id": member, "part": part, "ordinal": ordinal, "op": op,
                     "scope": kind.scope, "role": kind.role, **said})

    for key, each in wanted.items():
        said = {"frame_start": each.frame_start, "frame_end": each.frame_end, "seen_at": each.seen_at}
        if key not in now or any(now[key][name] != value for name, value in said.items()):
            event(key, "joins", **said)
    joined = len(rows)
    for key in now:
        if key not in wanted:
            event(key, "leaves", superseded_by=outcome.superseded.get(key[0]))
    return rows, joined, len(rows) - joined


def _parents(lake: Lake, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    asked = lake.engine.from_arrow(pa.table({"entity_id": pa.array(sorted(set(ids)), pa.string())}))
    found = {row["entity_id"]: row for row in fetch(lake, PARENTS, inputs={"ids": asked})}
    for each in ids:
        if each not in found:
            raise ConfigError(f"no entity {each}; positions and tracks are of entities of the lake")
    return found


def _entity(
    kind: _Kind, name: str, oldest: Member, found: Any, parents: Mapping[str, dict[str, Any]]
) -> dict[str, object]:
    """Return the row of a new object."""
    parent = parents[oldest.member_id]
    # None: the object was erased with the member that founded it, and others are left.
    times = next((each for each in range(MOST_TIMES) if found(oldest, each)[0] == name), 0)
    is_object = kind.operation == OBJECT
    return {
        "entity_id": name, "media_type": f"application/vnd.petrel.{kind.operation}", "size_bytes": 0,
        "storage": "none", "parent_id": oldest.member_id, "operation": kind.operation,
        "parameters_json": canonical_json(found(oldest, times)[1]),
        # What is seen in one video is split as it; a place is of many.
        "group_keys": dict(parent["group_keys"]) if is_object else {},
        "captured_at": parent["captured_at"] if is_object else None, "origin": parent["origin"],
    }  # fmt: skip
