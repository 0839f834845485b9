"""Why two versions of a dataset differ: recipe, contracts of the code, content of tables, and whose opinions came."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from lakehouse.engines import Relation
from lakehouse.errors import TableError
from lakehouse.lake import Lake
from lakehouse.query import fetch, query
from schemas.tables import OPINIONS

INPUTS = """
select dataset_id, name, recipe_json, contracts_json, digests_json, pins_json, members, excluded
from gold.datasets where dataset_id = $old or dataset_id = $new
"""

HEARD = """
select o.opinion_id, o.actor_id, o.op, o.subject_id from silver.opinions o
semi join changed c on c.is_answered_otherwise and c.entity_id = o.subject_id
where o.question_id = $question
"""

CAME = """
select n.actor_id, n.op, count(*) as opinions, count(distinct n.subject_id) as members from now n
anti join before b on b.opinion_id = n.opinion_id
group by n.actor_id, n.op order by opinions desc, n.actor_id, n.op
"""

Row = Mapping[str, object]


def versions(lake: Lake, old: str, new: str) -> tuple[Row, Row]:
    """Return what gold.datasets tells of two versions; JSON of its columns is read."""
    found = {}
    for row in fetch(lake, INPUTS, params={"old": old, "new": new}):
        read = {name.removesuffix("_json"): json.loads(row[name]) for name in row if name.endswith("_json")}
        found[row["dataset_id"]] = row | read
    return found[old], found[new]


def differences(old: object, new: object, key: str = "") -> Iterator[dict[str, object]]:
    """Yield each key, dotted, whose value differs; None on the side that has no such key."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in sorted({*old, *new}):
            yield from differences(old.get(name), new.get(name), f"{key}.{name}" if key else str(name))
    elif old != new:
        yield {"key": key, "old": old, "new": new}


def rows_read(old: Row, new: Row) -> list[dict[str, object]]:
    """Return what was read with another content: name, rows before and now, as far as rows were counted."""
    before, now = _digests(old), _digests(new)
    return [
        {"input": name, "old_rows": _rows(before.get(name)), "new_rows": _rows(now.get(name))}
        for name in sorted({*before, *now}) if before.get(name) != now.get(name)
    ]  # fmt: skip


def came_opinions(lake: Lake, old: Row, new: Row, changed: Relation) -> list[dict[str, object]] | str:
    """Return who said what is new about members that are answered otherwise; text where that cannot be told."""
    recipe, pins = _mapping(new["recipe"]), [_mapping(each["pins"]).get(OPINIONS.name) for each in (old, new)]
    if not recipe.get("question"):
        return []
    if not all(isinstance(pin, int) for pin in pins):
        return "one of the versions read no opinions"
    params = {"question": recipe["question"]}
    try:
        before, now = (
            query(lake, HEARD, inputs={"changed": changed}, params=params, pins={OPINIONS.name: int(str(pin))})
            for pin in pins
        )
        return fetch(lake, CAME, inputs={"before": before, "now": now})
    except TableError as error:
        return f"the opinions as they were cannot be read any more: {error}"


def _digests(version: Row) -> Mapping[str, object]:
    return _mapping(version["digests"])


def _rows(digest: object) -> int | None:
    if isinstance(digest, list) and digest and isinstance(digest[0], int):
        return digest[0]
    text = str(digest or "").split("-")[0]
    return int(text) if text.isdigit() and "-" in str(digest) else None


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}
