"""The views over label sets: what every label is called and which one stands for it today.

Opinions keep the ids that were said; what is read of them by label sees the merged one. Four merges may follow one
another (a into b, b into c ...): `lakehouse.labels.changes` makes no longer chain.
"""

from __future__ import annotations

from lakehouse.views.view import View

LONGEST_CHAIN = 4

MERGED_LABELS_VIEW = "merged_labels"


def merged_labels_sql(*, known_at: bool = False) -> str:
    """Return the text of the labels that another one stands for.

    Args:
        known_at: Only what we had learned by parameter `$known_at` (timestamp with zone).

    Returns:
        A query over silver.label_sets and silver.questions with the columns question_id, question_version,
        label_set_id, label_id, stands_for; one row for each version of a question whose set has the label.
    """
    condition = "where ingest_time <= $known_at" if known_at else ""
    return f"""
with aged as (
    select label_set_id, label_id, merged_into, row_number() over (
        partition by label_set_id, label_id order by version desc
    ) as age
    from silver.label_sets {condition}
), held as (
    select label_set_id, label_id, merged_into from aged where age = 1 and merged_into is not null
)
select q.question_id, q.version as question_version, a.label_set_id, a.label_id,
    coalesce(d.merged_into, c.merged_into, b.merged_into, a.merged_into) as stands_for
from held a
join silver.questions q on q.label_set_id = a.label_set_id
left join held b on b.label_set_id = a.label_set_id and b.label_id = a.merged_into
left join held c on c.label_set_id = a.label_set_id and c.label_id = b.merged_into
left join held d on d.label_set_id = a.label_set_id and d.label_id = c.merged_into
"""


LABEL_NAMES = """
with aged as (
    select label_set_id, label_id, version, name, parent_id, ordinal, synonyms, export_ids, status, merged_into,
        row_number() over (partition by label_set_id, label_id order by version desc) as age
    from silver.label_sets
)
select label_set_id, label_id, version, name, parent_id, ordinal, synonyms, export_ids, status, merged_into
from aged where age = 1
"""

VIEWS: dict[str, View] = {
    MERGED_LABELS_VIEW: View(
        merged_labels_sql(), "One row per version of a question and merged label: the label that stands for it."
    ),
    "label_names": View(LABEL_NAMES, "The newest version of every label: what it is called, its parent, its place."),
}
"""View name -> text and meaning."""
