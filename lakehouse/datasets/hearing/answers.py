"""The answers to a recipe's question: whose are heard, and what they come to for each entity."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from lakehouse.datasets.hearing.believed import believed_opinions
from lakehouse.datasets.hearing.merges import with_merges
from lakehouse.datasets.policies import answer_kinds, usual_kind
from lakehouse.datasets.policies.each_region import kind_of_samples
from lakehouse.datasets.policies.kind import AnswerKind, Asked, Decision
from lakehouse.datasets.policies.settings import Label
from lakehouse.datasets.recipes.recipe import Recipe
from lakehouse.engines import Relation
from lakehouse.errors import RecipeError
from lakehouse.lake import Lake
from lakehouse.names import nearest
from lakehouse.query import Pins, count_rows, fetch, query
from lakehouse.views.opinions import fallen_sql, standing_sql
from schemas.canonical import text_json
from schemas.tables import ACTORS

KIND = """
select answer_kind, geometry_kinds, constraints_json, $known_at is null or ingest_time <= $known_at as known
from silver.questions
where question_id = $question order by version
"""

QUESTIONS_ASKED = "select distinct question_id from silver.questions"

HEARD = """
select o.opinion_id, o.actor_id, o.subject_id, o.question_version, {columns}, o.row_hash
from standing o semi join asked a on a.actor_id = o.actor_id
where o.op = 'assert' and o.value_kind = $value_kind
"""

SPOKE = "select distinct actor_id from heard"

DECIDED = pa.schema([
    ("entity_id", pa.string()), ("all_votes", pa.int64()), ("cell", pa.string()), ("answer_json", pa.string()),
    ("problem", pa.string()), ("problem_detail", pa.string()),
])  # fmt: skip

TALLIED = """
select entity_id, cast(null as varchar) as label, all_votes, cast(null as double) as label_share,
    cast(null as map(varchar, bigint)) as label_votes, answer_json, problem, problem_detail, cell
from decided
"""

ROWS_PER_TASK = 5_000


def kind_asked(lake: Lake, recipe: Recipe, pins: Pins) -> AnswerKind | None:
    """Return the kind of the answers that a recipe asks for, bound to what it asks; None if it asks no question.

    Where the recipe states no task, it is that of the newest version of the question that was known by
    `as_of.known_at`.

    Raises:
        RecipeError: If nobody ever asked it, no dataset can be made of such answers, or settings of the recipe have no
            meaning for them.
    """
    if not recipe.question:
        return None
    params: dict[str, object] = {"question": recipe.question, "known_at": recipe.as_of.known_at}
    versions = fetch(lake, KIND, params=params, pins=pins)
    versions = [row for row in versions if row["known"]] or versions
    newest: Mapping[str, Any] = versions[-1] if versions else {}
    where = f"recipe {recipe.name}"
    if not newest:
        # Here and not by `classes_of`: it would be called a question for labels before.
        known = sorted({row["question_id"] for row in fetch(lake, QUESTIONS_ASKED, pins=pins)})
        meant = nearest(recipe.question, known) if known else "; import answers with `petrel opinions` first"
        raise RecipeError(f"{where}: question `{recipe.question}` was never asked in this lake{meant}")
    asked = str(newest["answer_kind"])
    kind = kind_of_samples(
        recipe.samples, _kind_of(recipe, asked, newest), f"{where}: question `{recipe.question}`"
    )
    if recipe.label.policy not in kind.policies:
        raise RecipeError(
            f"{where}: label.policy = {recipe.label.policy!r} is not for answers of kind {kind.name}, as question "
            f"`{recipe.question}` has them; set it to {' or '.join(map(repr, kind.policies))}"
        )
    refused = kind.refuse(recipe.label)
    if refused is not None:
        raise RecipeError(f"{where}: answers to question `{recipe.question}` are of kind {kind.name}: {refused}")
    if "label" in recipe.strata.by and not kind.has_cell:
        raise RecipeError(f"{where}: strata.by has `label`, but answers of kind {kind.name} have no label of their own")
    return kind.bound(Asked(recipe.label, constraints_of(kind, newest.get("constraints_json"))))


def constraints_of(kind: AnswerKind, constraints_json: str | None) -> dict[str, Any]:
    """Return what a question's constraints say that decides what answers of this kind are."""
    stated = json.loads(constraints_json or "{}")
    return {key: stated[key] for key in kind.constraints if key in stated}


def _kind_of(recipe: Recipe, asked: str, question: Mapping[str, Any]) -> AnswerKind:
    where, known, task = f"recipe {recipe.name}", answer_kinds(), recipe.label.task
    if task and task not in known:
        raise RecipeError(f"{where}: label.task = {task!r}{nearest(task, known)}")
    kind = known[task] if task else usual_kind(asked, question.get("geometry_kinds") or ())
    if kind is None:
        raise RecipeError(
            f"{where}: answers to question `{recipe.question}` are of kind {asked}, and datasets are made of "
            f"{', '.join(known)}; leave the question out to have the entities without answers"
        )
    if kind.value_kind != asked:
        fitting = ", ".join(each.name for each in known.values() if each.value_kind == asked) or "none"
        raise RecipeError(
            f"{where}: label.task = {task!r} takes answers of {kind.value_kind}, and question `{recipe.question}` has "
            f"{asked}; tasks of these: {fitting}"
        )
    return kind


def heard_opinions(lake: Lake, recipe: Recipe, kind: AnswerKind, pins: Pins) -> tuple[Relation, Relation]:
    """Return what the policy hears: the actors who answered, and their standing answers to the recipe's question.

    Only these rows enter the digest of the version: a prediction that the policy ignores changes no dataset, and
    neither does a person who answered something else.
    """
    if recipe.label.believe:
        return believed_opinions(lake, recipe, kind, pins)
    condition = "actor_id in $actors" if recipe.label.actors else "kind in $kinds"
    params: dict[str, object] = {
        "question": recipe.question,
        "value_kind": kind.value_kind,
        "kinds": list(recipe.label.asked),
        "actors": list(recipe.label.actors),
        "known_at": recipe.as_of.known_at,
        "valid_at": recipe.as_of.valid_at,
    }
    columns = ", ".join(ACTORS.column_names)
    asked = lake.engine.stage(
        query(lake, f"select {columns} from {ACTORS.name} where {condition}", params=params, pins=pins)
    )
    when = {"known_at": recipe.as_of.known_at is not None, "valid_at": recipe.as_of.valid_at is not None}
    fallen = lake.engine.stage(query(lake, fallen_sql(**when, question=True, hashed=True), params=params, pins=pins))
    any_fallen = count_rows(lake, fallen) > 0
    text = standing_sql(**when, question=True, any_fallen=any_fallen)
    standing = query(lake, text, inputs={"fallen": fallen}, params=params, pins=pins)
    heard = HEARD.format(columns=", ".join(f"o.{name}" for name in kind.hears))
    # Not staged: of millions of answers each reader takes its few columns from where they lie.
    found = query(lake, heard, inputs={"standing": standing, "asked": asked}, params=params)
    found = with_merges(lake, recipe, found, pins)
    spoke = f"select {columns} from asked a semi join ({SPOKE}) h on h.actor_id = a.actor_id"
    return query(lake, spoke, inputs={"asked": asked, "heard": found}), found


def tally(lake: Lake, recipe: Recipe, kind: AnswerKind, heard: Relation) -> Relation:
    """Return what the answers about each entity come to.

    Returns:
        One row per entity that anybody answered about: entity_id; label, label_share and label_votes of labels;
        answer_json of other kinds; all_votes; cell, which strata by `label` count it under; problem and
        problem_detail, why it has no answer. Of labels also `leaders`.
    """
    rows = query(lake, kind.tally, inputs={"heard": heard}, params=dict(kind.params(recipe.label)))
    if kind.decide is None:
        return rows
    decided = lake.engine.map_batches(
        rows,
        functools.partial(decisions, kind=kind, settings=recipe.label),
        DECIDED,
        rows_per_task=ROWS_PER_TASK,
        label=f"answers to {recipe.question}",
    )
    return query(lake, TALLIED, inputs={"decided": decided})


def decisions(batches: Iterator[pa.RecordBatch], *, kind: AnswerKind, settings: Label) -> Iterator[pa.RecordBatch]:
    """Yield rows of `DECIDED` for rows of a kind's `tally`."""
    for batch in batches:
        rows = [_decided(row, kind, settings) for row in batch.to_pylist()]
        yield pa.RecordBatch.from_pylist(rows, schema=DECIDED)


def _decided(row: dict[str, Any], kind: AnswerKind, settings: Label) -> dict[str, object]:
    found = Decision() if kind.decide is None else kind.decide(row, settings)
    if (found.answer is None) == (not found.reason):
        raise RuntimeError(
            f"kind of answer {kind.name}: decide gave {found} for entity {row['entity_id']}; it must give either "
            "an answer or a reason"
        )
    return {
        "entity_id": row["entity_id"],
        "all_votes": row["all_votes"],
        "cell": row.get("cell") if found.cell is None else found.cell,
        "answer_json": None if found.reason else text_json(found.answer),
        "problem": found.reason or None,
        "problem_detail": found.detail if found.reason else None,
    }
