"""Whose answer holds where answers are not counted: the last word of the only actor, or of anybody."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakehouse.datasets.policies.kind import Decision
from lakehouse.datasets.policies.settings import Label

NEWEST = ("single", "latest")
"""Policies that take one answer as it is."""

RANKED = """
with ranked as (
    select subject_id, event_time, {columns}, row_number() over (
        partition by subject_id order by event_time desc nulls last, opinion_id desc
    ) as place
    from heard
), newest as (
    select subject_id, event_time from ranked where place = 1
), spoke as (
    select h.subject_id, count(distinct h.actor_id) as actors,
        count(distinct case when h.event_time is not distinct from n.event_time then h.actor_id end) as newest_actors
    from heard h join newest n on n.subject_id = h.subject_id group by h.subject_id
)"""

RAREST = """, named as (
    select distinct subject_id, label from (
        select subject_id, unnest(labels) as label from ranked where place = 1
    ) unnested
), pictures as (
    select label, count(*) as num_pictures from named group by label
), rarest as (
    select n.subject_id, n.label, row_number() over (
        partition by n.subject_id order by p.num_pictures, n.label
    ) as place
    from named n join pictures p on p.label = n.label
)"""

SELECTED = """
select r.subject_id as entity_id, s.actors as all_votes, s.newest_actors, {values}{cell}
from ranked r
join spoke s on s.subject_id = r.subject_id
"""

OF_RAREST = "left join rarest q on q.subject_id = r.subject_id and q.place = 1\n"

SAID = """
select label, max(question_version) as version from (
    select unnest(labels) as label, question_version from heard
) unnested group by label order by label
"""
"""Every label in `labels` of what is heard."""


def newest_sql(*columns: str, labelled: bool = False) -> str:
    """Return SQL of one row per answered entity: its newest answer, and how many answered.

    Args:
        columns: Columns of `heard` that `decide` reads; `event_time` is there too.
        labelled: Whether there is a `cell`: the label in the answer that the fewest entities have.
    """
    read = (*columns, "labels") if labelled and "labels" not in columns else columns
    text = RANKED.format(columns=", ".join(read)) + (RAREST if labelled else "")
    values = ", ".join(f"r.{name}" for name in columns)
    text += SELECTED.format(values=values, cell=", coalesce(q.label, '') as cell" if labelled else "")
    return text + (OF_RAREST if labelled else "") + "where r.place = 1\n"


def unsettled(row: Mapping[str, Any], settings: Label) -> Decision | None:
    """Return why nobody's answer holds: several answered, or at once; None if one does.

    Args:
        row: Of `newest_sql`.
        settings: With policy `single` or `latest`.
    """
    actors = int(row["all_votes"])
    if settings.policy == "single" and actors > 1:
        return Decision(reason="several_actors", detail=f"{actors} actors answered; `single` takes the answer of one")
    if settings.policy == "latest" and row["newest_actors"] > 1:
        detail = f"{row['newest_actors']} actors answered last, at the same time or at none that is known"
        return Decision(reason="tie", detail=detail)
    return None
