"""What a question asks for, as writers of formats need it."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from lakehouse.lake import Lake
from lakehouse.opinions.formats.writer import Ontology
from lakehouse.query import fetch

QUESTION = """
select label_set_id, constraints_json, answer_kind from silver.questions
where question_id = $question and ($known_at is null or ingest_time <= $known_at) order by version desc limit 1
"""

LABELS = """
select label_id, name, parent_id, ordinal, export_ids, status, merged_into from (
    select *, row_number() over (partition by label_id order by version desc) as age
    from silver.label_sets
    where label_set_id = $label_set and ($known_at is null or ingest_time <= $known_at)
) versions where age = 1 order by ordinal
"""


def ontology_of(lake: Lake, question: str, known_at: datetime | None = None) -> Ontology:
    """Return labels, names, ids by format and keypoints of a question's newest version.

    Args:
        lake: The lake.
        question: The question.
        known_at: As we knew them then; None: now.
    """
    found = fetch(lake, QUESTION, params={"question": question, "known_at": known_at})
    if not found:
        return Ontology()
    limits = json.loads(found[0]["constraints_json"] or "{}")
    rows: list[dict[str, Any]] = []
    if found[0]["label_set_id"] is not None:
        rows = fetch(lake, LABELS, params={"label_set": found[0]["label_set_id"], "known_at": known_at})
    by_format: dict[str, dict[str, str]] = {}
    for row in rows:
        for name, export_id in dict(row["export_ids"] or ()).items():
            by_format.setdefault(name, {})[row["label_id"]] = export_id
    return Ontology(
        labels=tuple(row["label_id"] for row in rows if row["merged_into"] is None),
        names={row["label_id"]: row["name"] for row in rows},
        export_ids=by_format,
        numbers={row["label_id"]: row["ordinal"] for row in rows},
        parents={row["label_id"]: row["parent_id"] for row in rows if row["parent_id"] is not None},
        keypoints=tuple(limits.get("keypoints", ())),
        skeleton=tuple((a, b) for a, b in limits.get("skeleton", ())),
    )
