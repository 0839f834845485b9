"""The catalogue of a lake: every dataset with its owner, freshness, size, versions and who uses it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any

from lakehouse.datasets.versions.named import TAGS_NOW
from lakehouse.lake import Lake
from lakehouse.pages.document import document, note, table
from lakehouse.pages.plots import bars
from lakehouse.query import fetch
from lakehouse.steps.receipts import newest_first

Row = dict[str, Any]

DATASETS = """
select d.name, d.dataset_id, d.built_at, d.built_by, d.members, d.excluded, o.versions, o.first_built_at from (
    select *, row_number() over (partition by name order by first_version desc, dataset_id) as age from gold.datasets
) d join (
    select name, count(*) as versions, min(built_at) as first_built_at from gold.datasets group by name
) o on o.name = d.name where d.age = 1 order by d.name
"""

BYTES = """
select m.dataset_id, sum(e.size_bytes) as bytes
from (select distinct dataset_id, entity_id from member_entities where dataset_id in $ids) m
join silver.entities e on e.entity_id = m.entity_id group by m.dataset_id
"""

PUBLISHED = """
select d.name, count(*) as folders, max(m.published_at) as last_published_at from gold.materialisations m
join gold.datasets d on d.dataset_id = m.dataset_id group by d.name
"""

MODELS = """
select d.name, e.actor_id, count(distinct e.evaluation_id) as evaluations, max(e.evaluated_at) as last_evaluated_at
from gold.evaluations e join gold.datasets d on d.dataset_id = e.dataset_id
group by d.name, e.actor_id order by d.name, e.actor_id
"""

NAMES = "select dataset_id, name from gold.datasets"

HEAD = ("dataset", "owner", "members", "bytes", "versions", "built", "days ago", "tags", "published", "exports",
        "models")  # fmt: skip
"""Columns of `line`."""

UNKNOWN = "unknown"
"""Owner of what was built where `lake.author` stated nobody."""


def catalog(lake: Lake) -> list[Row]:
    """Return every dataset of a lake, by name; nothing is written.

    Returns:
        Rows with name; owner (who built the newest version); dataset_id, members, excluded, bytes and built_at of the
        newest version, the one that was first built last; age_days since then, by the lake's clock; versions and
        first_built_at; tags (tag -> id); published (folders) and last_published_at; models (actor_id, evaluations,
        last_evaluated_at) that were scored on it; exports, of the receipts that are still kept.
    """
    rows = fetch(lake, DATASETS)
    params: Mapping[str, object] = {"ids": [row["dataset_id"] for row in rows] or [""]}
    size = {row["dataset_id"]: int(row["bytes"]) for row in fetch(lake, BYTES, params=params)}
    published = {row["name"]: row for row in fetch(lake, PUBLISHED)}
    models, tags = _by_name(fetch(lake, MODELS)), _by_name(fetch(lake, TAGS_NOW))
    name_of = {row["dataset_id"]: row["name"] for row in fetch(lake, NAMES)}
    exported = [name_of.get(each.details.get("dataset_id", "")) for each in newest_first(lake.files, step="export")]
    now = lake.clock()
    return [
        {
            "name": row["name"], "owner": row["built_by"] or UNKNOWN, "dataset_id": row["dataset_id"],
            "members": row["members"], "excluded": row["excluded"], "bytes": size.get(row["dataset_id"], 0),
            "built_at": row["built_at"], "age_days": _days(now, row["built_at"]), "versions": row["versions"],
            "first_built_at": row["first_built_at"],
            "tags": {each["tag"]: each["dataset_id"] for each in tags.get(row["name"], [])},
            "published": published.get(row["name"], {}).get("folders", 0),
            "last_published_at": published.get(row["name"], {}).get("last_published_at"),
            "models": [{name: each[name] for name in ("actor_id", "evaluations", "last_evaluated_at")}
                       for each in models.get(row["name"], [])],
            "exports": exported.count(row["name"]),
        }
        for row in rows
    ]  # fmt: skip


def catalog_page(rows: Sequence[Row], *, where: str) -> str:
    """Return the catalogue as one HTML page that needs nothing else; `where` is the lake, for people."""
    parts = [note(f"{len(rows)} datasets of {where}")]
    if rows:
        parts.append(table(HEAD, [line(row) for row in rows]))
        parts += ["<h2>Members</h2>", bars({row["name"]: float(row["members"]) for row in rows})]
    for row in rows:
        parts.append(f"<h2>{escape(row['name'])}</h2>")
        told = [("newest version", row["dataset_id"]), ("first built", _time(row["first_built_at"])),
                ("left out", row["excluded"]), ("last published", _time(row["last_published_at"]))]  # fmt: skip
        parts.append(table(["", ""], told))
        if row["tags"]:
            parts.append(table(["tag", "version"], list(row["tags"].items())))
        if row["models"]:
            scored = [(each["actor_id"], each["evaluations"], _time(each["last_evaluated_at"]))
                      for each in row["models"]]  # fmt: skip
            parts.append(table(["model", "evaluations", "last"], scored))
    return document("Datasets", parts)


def line(row: Row) -> list[object]:
    """Return a row of the catalogue as a table shows it: what is many as a list of names."""
    models = ", ".join(each["actor_id"] for each in row["models"])
    return [row["name"], row["owner"], row["members"], row["bytes"], row["versions"], _time(row["built_at"]),
            row["age_days"], ", ".join(row["tags"]), row["published"], row["exports"], models]  # fmt: skip


def _by_name(rows: Sequence[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["name"], []).append(row)
    return found


def _days(now: datetime, then: datetime) -> int:
    return max(0, (now - then).days)


def _time(time: datetime | None) -> str:
    return "" if time is None else f"{time:%Y-%m-%d %H:%M}"
