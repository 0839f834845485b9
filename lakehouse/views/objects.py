"""The view of reified objects: who their members are now."""

from __future__ import annotations

from collections.abc import Mapping

from lakehouse.views.view import View

OBJECT_MEMBERS = """
with newest as (
    select *, row_number() over (partition by object_id, member_id, part order by ordinal desc) as place
    from silver.object_members
)
select object_id, member_id, part, scope, role, frame_start, frame_end, seen_at from newest
where place = 1 and op = 'joins'
"""

VIEWS: Mapping[str, View] = {
    "object_members": View(
        OBJECT_MEMBERS, "One row per member that a reified object (a thing that is followed, a place) has now."
    ),
}
