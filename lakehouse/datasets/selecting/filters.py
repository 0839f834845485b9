"""Who is left out by their label, or because no rule finds them hard; each with its reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

from lakehouse.datasets.hearing.merges import with_merges
from lakehouse.datasets.policies.kind import AnswerKind, Reason
from lakehouse.datasets.recipes.recipe import Recipe
from lakehouse.engines import Relation
from lakehouse.errors import RecipeError
from lakehouse.lake import Lake
from lakehouse.names import nearest
from lakehouse.query import Pins, fetch, query
from lakehouse.views.opinions import current_opinions_sql
from schemas.tables import OPINIONS

NOT_ONLY = Reason("not_in_only", "t.label not in $label_only", "concat('its label is ', label)")
EXCLUDED = Reason("label_excluded", "t.label in $label_exclude", "concat('its label is ', label)")
NOT_HARD = "not_hard"
FILTERED = (NOT_ONLY.name, EXCLUDED.name, NOT_HARD)
"""Names of all of these reasons."""

DISAGREED = "coalesce(t.label_share <= $hard_share, false)"
UNSURE = "coalesce(m.confidence < $hard_below, false)"
AGAINST = "coalesce(m.said <> t.label, false)"

ANSWERED = """
select actor_id, count(*) as answers from standing where question_id = $question and op = 'assert'
  and value_kind = 'label' group by actor_id order by actor_id
"""

SAID = """
select opinion_id, actor_id, subject_id, question_version, event_time, label, confidence, row_hash from standing
where question_id = $question and op = 'assert' and value_kind = 'label' and actor_id in $actors
"""

NEWEST = """
select subject_id as entity_id,
    max(case when actor_id = $unsure then confidence end) as confidence,
    max(case when actor_id = $against then label end) as said
from (
    select *, row_number() over (
        partition by actor_id, subject_id order by event_time desc nulls last, opinion_id desc
    ) as age from models
) aged where age = 1 group by subject_id
"""


def filter_reasons(recipe: Recipe) -> Iterator[Reason]:
    """Yield the reasons that only a recipe gives which states such filters."""
    if recipe.label.only:
        yield NOT_ONLY
    if recipe.label.exclude:
        yield EXCLUDED
    rules = list(_rules(recipe))
    if rules:
        yield Reason(NOT_HARD, f"not ({' or '.join(rules)})", "'no rule of select.hard holds'")


def _rules(recipe: Recipe) -> Iterator[str]:
    hard = recipe.select.hard
    if hard.disagreement.min:
        yield DISAGREED
    if hard.confidence.below:
        yield UNSURE
    if hard.model_against_people:
        yield AGAINST


def filter_params(recipe: Recipe) -> dict[str, object]:
    """Return the parameters of these reasons."""
    hard = recipe.select.hard
    return {
        "label_only": list(recipe.label.only),
        "label_exclude": list(recipe.label.exclude),
        # As it is written: 9 of 10 votes for a label are 0.1 against it, and 1 - 0.9 is less.
        "hard_share": float(1 - Fraction(repr(hard.disagreement.min))),
        "hard_below": hard.confidence.below,
    }


def check_filters(recipe: Recipe, kind: AnswerKind | None, classes: Sequence[str]) -> None:
    """Refuse filters by labels that the question does not have, or of answers that are no labels.

    Raises:
        RecipeError: See above; the message names the nearest label.
    """
    where = f"recipe {recipe.name}"
    stated = [f"label.{key}" for key in ("only", "exclude") if getattr(recipe.label, key)]
    stated += ["select.hard"] if list(_rules(recipe)) else []
    if stated and (kind is None or not kind.one_label):
        said = "the recipe asks no question" if kind is None else f"answers are of kind {kind.name}"
        raise RecipeError(f"{where}: {stated[0]} is for answers that are one label, and {said}; leave it out")
    for key in ("only", "exclude"):
        for label in getattr(recipe.label, key):
            if label not in classes:
                raise RecipeError(f"{where}: label.{key}: no label is {label!r}{nearest(label, classes)}")


def models_heard(lake: Lake, recipe: Recipe, pins: Pins) -> Relation | None:
    """Return the standing labels that the models of `select.hard` gave; None where it names none.

    Raises:
        RecipeError: If one of them never answered the question; the message names the nearest that did.
    """
    hard, as_of = recipe.select.hard, recipe.as_of
    named = {"confidence.actor": hard.confidence.actor, "model_against_people": hard.model_against_people}
    named = {key: actor for key, actor in named.items() if actor}
    if not named:
        return None
    params: dict[str, object] = {
        "question": recipe.question, "known_at": as_of.known_at, "valid_at": as_of.valid_at,
        "actors": sorted(set(named.values())),
    }  # fmt: skip
    text = current_opinions_sql(known_at=as_of.known_at is not None, valid_at=as_of.valid_at is not None)
    standing = query(lake, text, params=params, pins={OPINIONS.name: pins[OPINIONS.name]})
    known = [row["actor_id"] for row in fetch(lake, ANSWERED, inputs={"standing": standing}, params=params)]
    for key, actor in named.items():
        if actor not in known:
            raise RecipeError(
                f"recipe {recipe.name}: select.hard.{key}: {actor!r} gave no label to `{recipe.question}`"
                f"{nearest(actor, known)}"
            )
    return lake.engine.stage(query(lake, SAID, inputs={"standing": standing}, params=params))


def models_said(lake: Lake, recipe: Recipe, models: Relation, pins: Pins) -> Relation:
    """Return entity_id, confidence and said (the label, merged and made coarser as people's are), one row for each."""
    hard = recipe.select.hard
    params: Mapping[str, object] = {"unsure": hard.confidence.actor, "against": hard.model_against_people}
    return query(lake, NEWEST, inputs={"models": with_merges(lake, recipe, models, pins)}, params=params)
