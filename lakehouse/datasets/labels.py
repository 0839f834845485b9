"""The label policy of a recipe: from current opinions to one tally per entity."""

from __future__ import annotations

from lakehouse.datasets.recipe import Recipe
from lakehouse.engines import Relation
from lakehouse.lake import Lake
from lakehouse.opinions.views import capped_votes, current_opinions_sql, summed_votes
from lakehouse.query import Pins, query
from schemas.tables import ACTORS, OPINIONS

HEARD = """
select o.opinion_id, o.actor_id, o.subject_id, o.question_version, o.label, o.votes, o.row_hash
from standing o
where o.question_id = $question and o.op = 'assert' and o.value_kind = 'label'
  and exists (select 1 from asked a where a.actor_id = o.actor_id)
"""

TALLY = f"""
with counted as (
    select subject_id, label, {summed_votes("votes")} as votes from heard group by subject_id, label
), ranked as (
    select subject_id, label, votes,
        row_number() over (partition by subject_id order by votes desc, label) as place,
        max(votes) over (partition by subject_id) as most
    from counted
)
select subject_id as entity_id,
    max(case when place = 1 then label end) as label,
    {capped_votes("sum(votes)")} as all_votes,
    cast(max(most) as double) / cast(sum(votes) as double) as label_share,
    count(*) filter (where votes = most) as leaders,
    petrel_votes(label, {capped_votes("votes")}) as label_votes
from ranked group by subject_id
"""
"""One row per entity that anybody answered about: leading label, votes, share, number of leaders.

Votes are compared as exact sums; what is kept of them is at most 2**63 - 1."""


def heard_opinions(lake: Lake, recipe: Recipe, pins: Pins) -> tuple[Relation, Relation]:
    """Return what the policy hears: the actors who answered, and their standing answers to the recipe's question.

    Only these rows enter the digest of the version: a prediction that the policy ignores changes no dataset, and
    neither does a person who answered something else.
    """
    condition = "actor_id in $actors" if recipe.label.actors else "kind in $kinds"
    params: dict[str, object] = {
        "question": recipe.question,
        "kinds": list(recipe.label.kinds),
        "actors": list(recipe.label.actors),
        "known_at": recipe.as_of.known_at,
        "valid_at": recipe.as_of.valid_at,
    }
    columns = ", ".join(ACTORS.column_names)
    asked = lake.engine.stage(
        query(lake, f"select {columns} from {ACTORS.name} where {condition}", params=params, pins=pins)
    )
    text = current_opinions_sql(
        known_at=recipe.as_of.known_at is not None, valid_at=recipe.as_of.valid_at is not None
    )
    standing = query(lake, text, params=params, pins={OPINIONS.name: pins[OPINIONS.name]})
    found = query(lake, HEARD, inputs={"standing": standing, "asked": asked}, params=params)
    heard = lake.engine.stage(found)
    spoke = f"select {columns} from asked a where exists (select 1 from heard h where h.actor_id = a.actor_id)"
    return lake.engine.stage(query(lake, spoke, inputs={"asked": asked, "heard": heard})), heard


def tally(lake: Lake, heard: Relation) -> Relation:
    """Return one row per entity with the votes by label."""
    return query(lake, TALLY, inputs={"heard": heard})
