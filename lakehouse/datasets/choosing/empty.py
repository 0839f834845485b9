"""A dataset without a member is never what was meant: why there would be none."""

from __future__ import annotations

from lakehouse.datasets.policies.kind import NO_ANSWER
from lakehouse.datasets.recipes.recipe import Recipe
from lakehouse.engines import Relation
from lakehouse.lake import Lake
from lakehouse.query import fetch

ANSWERED = """
select a.kind, count(*) as answers from current_opinions o join silver.actors a on a.actor_id = o.actor_id
where o.question_id = $question and o.op = 'assert' group by a.kind order by a.kind
"""

REASONS = "select reason, count(*) as entities from left_out group by reason order by entities desc, reason"


def why_empty(lake: Lake, recipe: Recipe, exclusions: Relation) -> str:
    """Return how many were left out for which reason, and who has answered whom the policy does not ask."""
    found = fetch(lake, REASONS, inputs={"left_out": exclusions})
    told = ", ".join(f"{row['entities']} {row['reason']}" for row in found)
    if any(row["reason"] in ("no_label", NO_ANSWER.name) for row in found):
        kinds = fetch(lake, ANSWERED, params={"question": recipe.question})
        answers = ", ".join(f"{row['answers']} by kind {row['kind']}" for row in kinds) or "none"
        asked = ", ".join(recipe.label.actors or recipe.label.asked)
        told += f" (the policy asks {asked}; answers to `{recipe.question}` there are: {answers})"
    return f"all were left out: {told}; loosen what stands behind the reason, or select others"
