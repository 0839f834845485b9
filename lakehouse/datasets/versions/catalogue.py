"""Which datasets a lake has: their versions, newest first, and all that is recorded of one."""

from __future__ import annotations

import json
from typing import Any

from lakehouse.datasets.versions.find import find_dataset
from lakehouse.lake import Lake
from lakehouse.query import fetch

Row = dict[str, Any]

VERSIONS = """
select d.name, d.dataset_id, d.members, d.excluded, d.built_at, d.splits_json,
    (select count(*) from gold.materialisations m where m.dataset_id = d.dataset_id) as published,
    (select count(distinct e.evaluation_id) from gold.evaluations e where e.dataset_id = d.dataset_id) as evaluations
from gold.datasets d where $name is null or d.name = $name
order by d.name, d.built_at desc, d.first_version desc, d.dataset_id
"""

EXCLUDED = """
select reason, count(*) as entities, min(detail) as example from gold.dataset_exclusions where dataset_id = $id
group by reason order by entities desc, reason
"""

CELLS = """
select stratum, split, count(*) as members from gold.dataset_members where dataset_id = $id
group by stratum, split order by stratum, split
"""

ALLOTTED = "select cells_json from gold.datasets where dataset_id = $id"

LABELS = """
select label, split, count(*) as members from gold.dataset_members where dataset_id = $id and label is not null
group by label, split order by label, split
"""

LICENCES = """
select coalesce(b.licence, '') as licence, s.source, count(distinct m.member_id) as members
from member_entities m
join silver.entity_sources s on s.entity_id = m.entity_id
join bronze.landed_files b on b.landed_id = s.landed_id
where m.dataset_id = $id and ($until is null or s.seen_at <= $until)
group by coalesce(b.licence, ''), s.source order by members desc, licence, source
"""
"""`$until`: what had been seen by then; NULL for all."""

PUBLISHED = "select folder, rows, files, size_bytes, published_at from gold.materialisations where dataset_id = $id"

SCORED = """
select distinct actor_id, question_id, split, evaluated_at from gold.evaluations where dataset_id = $id
order by evaluated_at, actor_id, split
"""


def dataset_versions(lake: Lake, name: str | None = None) -> list[Row]:
    """Return the versions of every dataset, or of one: by name, the one first built last first.

    Returns:
        Rows with name, dataset_id, members, excluded, built_at (UTC), splits (split -> members), published (folders)
        and evaluations (numbers of them).
    """
    rows = fetch(lake, VERSIONS, params={"name": name})
    return [row | {"splits": json.loads(row.pop("splits_json"))} for row in rows]


def dataset_record(lake: Lake, name_or_id: str) -> Row:
    """Return what is recorded of one version.

    Returns:
        dataset_id, name, recipe (canonical), classes, contracts, members, splits, members_digest; excluded (reason,
        entities, example); cells (stratum, split, members); strata (what each cell got, as
        `lakehouse.datasets.choosing.allocation.Allotment.to_plain`); labels (label, split, members); sources (licence,
        source, members: a member that two sources have counts for both); published and evaluated.

    Raises:
        RecipeError: If there is no such dataset.
    """
    version = find_dataset(lake, name_or_id)
    params = {"id": version.dataset_id}
    return {
        "dataset_id": version.dataset_id,
        "name": version.name,
        "recipe": dict(version.recipe),
        "classes": list(version.classes),
        "contracts": dict(version.contracts),
        "members": version.members,
        "splits": dict(version.splits),
        "members_digest": version.members_digest,
        "excluded": fetch(lake, EXCLUDED, params=params),
        "cells": fetch(lake, CELLS, params=params),
        "strata": json.loads(fetch(lake, ALLOTTED, params=params)[0]["cells_json"] or "[]"),
        "labels": fetch(lake, LABELS, params=params),
        "sources": fetch(lake, LICENCES, params=params | {"until": None}),
        "published": fetch(lake, PUBLISHED, params=params),
        "evaluated": fetch(lake, SCORED, params=params),
    }
