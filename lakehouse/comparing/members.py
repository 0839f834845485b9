"""Which members differ between two versions of a dataset, one row for each that does."""

from __future__ import annotations

from lakehouse.engines import Relation
from lakehouse.lake import Lake
from lakehouse.query import fetch, query

CHANGED = """
with a as (
    select entity_id, split, label, answer_json, stratum, weight from gold.dataset_members where dataset_id = $old
), b as (
    select entity_id, split, label, answer_json, stratum, weight from gold.dataset_members where dataset_id = $new
), pairs as (
    select coalesce(a.entity_id, b.entity_id) as entity_id,
        case when a.entity_id is null then 'in' when b.entity_id is null then 'out' else 'kept' end as change,
        coalesce(a.split <> b.split, false) as is_moved,
        a.entity_id is not null and b.entity_id is not null and (
            a.label is distinct from b.label or a.answer_json is distinct from b.answer_json
        ) as is_answered_otherwise,
        coalesce(a.stratum <> b.stratum or a.weight <> b.weight, false) as is_weighed_otherwise,
        a.split as old_split, b.split as new_split, a.label as old_label, b.label as new_label,
        a.stratum as old_stratum, b.stratum as new_stratum
    from a full outer join b on b.entity_id = a.entity_id
)
select p.*, case
        when p.change = 'in' then coalesce(was.reason, 'not_selected')
        when p.change = 'out' then coalesce(now.reason, 'not_selected')
    end as reason
from pairs p
left join gold.dataset_exclusions was on was.dataset_id = $old and was.entity_id = p.entity_id and p.change = 'in'
left join gold.dataset_exclusions now on now.dataset_id = $new and now.entity_id = p.entity_id and p.change = 'out'
where p.change <> 'kept' or p.is_moved or p.is_answered_otherwise or p.is_weighed_otherwise
"""
"""`reason`: of one that came in why it was left out before, of one that went out why it is now; `not_selected` where it
was not even considered."""

COUNTS = """
select count(*) filter (where change = 'in') as came_in,
    count(*) filter (where change = 'out') as went_out,
    count(*) filter (where is_moved) as moved,
    count(*) filter (where is_answered_otherwise) as answered_otherwise,
    count(*) filter (where is_weighed_otherwise) as weighed_otherwise
from changed
"""

REASONS = """
select change, reason, count(*) as members from changed where change <> 'kept'
group by change, reason order by change, members desc, reason
"""

MOVES = """
select old_split, new_split, count(*) as members from changed where is_moved
group by old_split, new_split order by members desc, old_split, new_split
"""

ANSWERS = """
select coalesce(old_label, '') as old_label, coalesce(new_label, '') as new_label, count(*) as members
from changed where is_answered_otherwise
group by coalesce(old_label, ''), coalesce(new_label, '') order by members desc, old_label, new_label
"""


def changed_members(lake: Lake, old: str, new: str) -> Relation:
    """Return the members that differ: entity_id, change (in, out, kept), how, splits, labels, strata and reason."""
    return lake.engine.stage(query(lake, CHANGED, params={"old": old, "new": new}))


def counted(lake: Lake, changed: Relation, text: str) -> list[dict[str, object]]:
    """Return the rows of one of the questions above about changed members."""
    return fetch(lake, text, inputs={"changed": changed})
