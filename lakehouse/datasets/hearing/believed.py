"""What a recipe hears where a label policy of the lake says whose opinions are believed (`label.believe`)."""

from __future__ import annotations

from lakehouse.datasets.hearing.merges import with_merges
from lakehouse.datasets.hearing.united import united_opinions
from lakehouse.datasets.policies.kind import AnswerKind
from lakehouse.datasets.recipes.recipe import Recipe
from lakehouse.engines import Relation
from lakehouse.errors import ConfigError, RecipeError
from lakehouse.labels.held import HELD, policy_of
from lakehouse.labels.policy import Policy
from lakehouse.labels.sql import backing_sql
from lakehouse.lake import Lake
from lakehouse.query import Pins, fetch, query
from schemas.tables import ACTORS

HEARD = """
select o.opinion_id, o.actor_id, o.subject_id, o.question_version, {columns}, o.row_hash
from backing b join silver.opinions o on o.opinion_id = b.opinion_id
where o.value_kind = $value_kind
"""


def policy_heard(lake: Lake, recipe: Recipe, pins: Pins) -> Policy:
    """Return the policy that a recipe names, as it was known at its `as_of.known_at`.

    Raises:
        RecipeError: If there is none.
    """
    held = fetch(lake, HELD, params={"known_at": None}, pins=pins)
    try:
        policy = policy_of(held, recipe.label.believe, known_at=recipe.as_of.known_at)
    except ConfigError as error:
        where = f"recipe {recipe.name}: label.believe"
        raise RecipeError(f"{where}: {error}; `petrel labels policies` shows them") from error
    return policy


def believed_opinions(lake: Lake, recipe: Recipe, kind: AnswerKind, pins: Pins) -> tuple[Relation, Relation]:
    """Return the actors and opinions on which the answers of the recipe's policy rest, as `heard_opinions` does.

    Where the policy unites the regions of several, what is heard about a thing is one answer, the united one.
    """
    policy, as_of = policy_heard(lake, recipe, pins), recipe.as_of
    text = backing_sql(policy, known_at=as_of.known_at is not None, valid_at=as_of.valid_at is not None)
    params: dict[str, object] = {
        "question": recipe.question, "known_at": as_of.known_at, "valid_at": as_of.valid_at,
        "value_kind": kind.value_kind,
    }  # fmt: skip
    backing = lake.engine.stage(query(lake, text, params=params, pins=pins)) if policy.unites else query(
        lake, text, params=params, pins=pins
    )
    # Votes are those of the answer; shares of soft labels are of weighted ones.
    votes = "cast(least(b.weight, 9223372036854775807) as bigint) as votes" if policy.soft else "o.votes"
    columns = ", ".join(votes if name == "votes" else f"o.{name}" for name in kind.hears)
    heard = HEARD.format(columns=columns)
    found = lake.engine.stage(query(lake, heard, inputs={"backing": backing}, params=params, pins=pins))
    found = with_merges(lake, recipe, found, pins)
    spoke = (
        f"select {', '.join(ACTORS.column_names)} from {ACTORS.name} a "
        "where exists (select 1 from heard h where h.actor_id = a.actor_id)"
    )
    actors = lake.engine.stage(query(lake, spoke, inputs={"heard": found}, pins=pins))
    return actors, united_opinions(lake, found, backing, policy) if policy.unites and "regions" in kind.hears else found
