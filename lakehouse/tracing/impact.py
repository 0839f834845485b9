"""impact: what rests on a source, a licence, an actor, an extractor or an entity, each version at its own pins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from lakehouse.errors import PetrelError, RecipeError, TableError, one_line
from lakehouse.lake import Lake
from lakehouse.query import fetch
from lakehouse.steps.receipts import newest_first
from lakehouse.tracing.touched import Touched, asked_for
from lakehouse.tracing.versions import PinnedVersion, all_versions, pinned_version

Row = dict[str, Any]

KINDS = ("source", "actor", "licence", "extractor", "entity")

SPLITS = """
select m.split, count(*) as members from gold.dataset_members m
join (
    select distinct s.member_id from member_entities s join touched t on t.entity_id = s.entity_id
    where s.dataset_id = $id
) t on t.member_id = m.entity_id
where m.dataset_id = $id group by m.split order by m.split
"""

LEFT_OUT = """
select count(distinct x.member_id) as n from (
    select entity_id as member_id, unnest(coalesce(parent_ids, [entity_id])) as entity_id
    from gold.dataset_exclusions where dataset_id = $id
) x join touched t on t.entity_id = x.entity_id
"""

PUBLISHED = """
select dataset_id, folder, rows, published_at from gold.materialisations
where dataset_id in $ids order by folder, materialisation_id
"""

SCORED = """
select distinct evaluation_id, dataset_id, actor_id, question_id, split, evaluated_at from gold.evaluations
where dataset_id in $ids or actor_id = $actor order by evaluated_at, evaluation_id, split
"""


@dataclass(frozen=True, slots=True)
class Impact:
    """What rests on one thing.

    Attributes:
        kind: source, actor, licence, extractor or entity.
        value: Its name.
        versions: name, dataset_id, built_at, members, touched (members that rest on it), left_out (entities that do and
            were considered and left out), splits (split -> touched), notes (what the counts do not tell).
        materialisations: dataset_id, folder, rows, published_at, touched.
        exports: dataset_id, format, to, exported_at, touched; from the receipts that are still kept.
        evaluations: evaluation_id, dataset_id, actor_id, question_id, split, evaluated_at, touched; also those of the
            answers of an actor.
        unknown: name, dataset_id, problem of versions of which it cannot be told.
    """

    kind: str
    value: str
    versions: list[Row] = field(default_factory=list)
    materialisations: list[Row] = field(default_factory=list)
    exports: list[Row] = field(default_factory=list)
    evaluations: list[Row] = field(default_factory=list)
    unknown: list[Row] = field(default_factory=list)


def impact_of(lake: Lake, kind: str, value: str) -> Impact:
    """Return what rests on one thing; nothing is written.

    Each version is asked at its own pins: an actor touches the members about which the recipe heard that actor, an
    extractor those of which the recipe reads what it measured, a source or licence those whose bytes it had been
    seen to bring when the version was built, with what was derived from them.

    Args:
        lake: The lake.
        kind: One of `KINDS`.
        value: As `lakehouse.tracing.touched.asked_for`.

    Raises:
        ConfigError: If there is no such thing.
    """
    asked = asked_for(lake, kind, value)
    found = Impact(kind, asked.value)
    for dataset_id in all_versions(lake):
        try:
            version = pinned_version(lake, dataset_id)
            row = _row(lake, version, asked.touched(version))
        except (TableError, RecipeError) as error:
            found.unknown.append({"dataset_id": dataset_id, "problem": _told(error)})
            continue
        if row["touched"] or row["left_out"] or row["notes"]:
            found.versions.append(row)
    by_id = {row["dataset_id"]: row for row in found.versions}
    params: Mapping[str, object] = {"ids": sorted(by_id) or [""], "actor": asked.value if kind == "actor" else ""}
    found.materialisations.extend(_with_touched(fetch(lake, PUBLISHED, params=params), by_id))
    found.evaluations.extend(_with_touched(fetch(lake, SCORED, params=params), by_id))
    found.exports.extend(_with_touched(_exports(lake, by_id), by_id))
    return found


def _row(lake: Lake, found: PinnedVersion, touched: Touched) -> Row:
    splits, left_out = [], 0
    if touched.entities is not None:
        about: dict[str, Any] = {
            "inputs": {"touched": lake.engine.stage(touched.entities)}, "params": {"id": found.dataset_id},
        }  # fmt: skip
        splits = fetch(lake, SPLITS, **about)
        left_out = fetch(lake, LEFT_OUT, **about)[0]["n"]
    return {
        "name": found.version.name, "dataset_id": found.dataset_id, "built_at": found.built_at,
        "members": found.version.members, "touched": sum(row["members"] for row in splits), "left_out": left_out,
        "splits": {row["split"]: row["members"] for row in splits}, "notes": list(touched.notes),
    }  # fmt: skip


def _with_touched(rows: list[Row], versions: Mapping[str, Row]) -> Iterator[Row]:
    for row in rows:
        version = versions.get(row["dataset_id"], {"touched": 0, "splits": {}})
        count = version["splits"].get(row["split"], 0) if "split" in row else version["touched"]
        yield row | {"touched": count}


def _exports(lake: Lake, versions: Mapping[str, Row]) -> list[Row]:
    return [
        {"dataset_id": each.details["dataset_id"], "format": each.details.get("format"), "to": each.details.get("to"),
         "exported_at": each.started_at}
        for each in newest_first(lake.files, step="export") if each.details.get("dataset_id") in versions
    ]  # fmt: skip


def _told(error: PetrelError) -> str:
    return one_line(error)
