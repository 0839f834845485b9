"""The classes of a dataset version: the number of every label, as its label set gave it out.

A number is the label's ordinal in `silver.label_sets`, which is given once and never changes. Counting the labels
that happened to get votes would number them anew with every selection, and with every label that comes later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from lakehouse.datasets.policies.kind import AnswerKind
from lakehouse.datasets.recipes.recipe import Recipe
from lakehouse.engines import Relation
from lakehouse.errors import RecipeError, TableError
from lakehouse.lake import Lake
from lakehouse.names import nearest
from lakehouse.opinions.questions import is_closed
from lakehouse.query import Pins, fetch

ASKED = """
select question_id, version, label_set_id, constraints_json, ingest_time from silver.questions
order by question_id, version
"""

NUMBERED = """
select label_id, ordinal, min(ingest_time) as known_since from silver.label_sets
where label_set_id = $label_set group by label_id, ordinal order by ordinal, label_id
"""


def classes_of(lake: Lake, recipe: Recipe, kind: AnswerKind, pins: Pins, heard: Relation) -> tuple[str, ...]:
    """Return the labels of the recipe's question, each at the place of its number.

    The set is that of the newest version of the question. Of a closed question all labels are classes, of an open
    one all up to the last that anybody whom the policy listens to holds: what a model alone has said changes no
    dataset. A label that is deprecated or merged keeps its place.

    Args:
        lake: The lake.
        recipe: A recipe that asks a question.
        kind: Kind of its answers; one without labels has no classes.
        pins: From `pin`.
        heard: Opinions that the label policy listens to, from `heard_opinions`.

    Raises:
        RecipeError: If nobody ever asked this question, or an opinion holds a label that its set lacks.
        TableError: If two labels of the set have one number, or a number is nobody's.
    """
    said = [] if kind.classes is None else fetch(lake, kind.classes, inputs={"heard": heard})
    question = _question(lake, recipe, pins, answered=max((row["version"] for row in said), default=0))
    entries: list[dict[str, Any]] = []
    if question["label_set_id"] is not None:
        entries = fetch(lake, NUMBERED, params={"label_set": question["label_set_id"]}, pins=pins)
    _check_numbers(str(question["label_set_id"]), entries)
    numbers = {str(row["label_id"]): number for number, row in enumerate(entries)}
    lacking = [str(row["label"]) for row in said if row["label"] not in numbers]
    if lacking:
        raise RecipeError(
            f"recipe {recipe.name}: opinions hold label {lacking[0]!r} of question `{recipe.question}`, which label "
            f"set `{question['label_set_id']}` of its version {question['version']} lacks, so that it has no class "
            "number; import answers with `petrel opinions`, which registers their labels, and have a new version of "
            "a question keep the labels that were answered before"
        )
    last = max((numbers[row["label"]] for row in said), default=-1)
    if is_closed(question["constraints_json"]):
        stated = [row["label_id"] for row in entries if _is_known(row["known_since"], recipe)]
        last = max(last, *(numbers[label] for label in stated), -1)
    return tuple(numbers)[: last + 1]


def _question(lake: Lake, recipe: Recipe, pins: Pins, *, answered: int) -> Mapping[str, Any]:
    """Return the newest version that was known by then; of what is answered it was, whatever the clock says."""
    asked = fetch(lake, ASKED, pins=pins)
    versions = [
        row for row in asked if row["question_id"] == recipe.question
        and (row["version"] <= answered or _is_known(row["ingest_time"], recipe))
    ]  # fmt: skip
    if versions:
        return versions[-1]
    until = "" if recipe.as_of.known_at is None else f" by {recipe.as_of.known_at.isoformat()}"
    known = sorted({row["question_id"] for row in asked})
    if recipe.question in known:
        first = min(row["ingest_time"] for row in asked if row["question_id"] == recipe.question)
        meant = f"; it first was at {first.isoformat()}: give a later known_at"
    else:
        meant = nearest(recipe.question, known) if known else "; import answers with `petrel opinions` first"
    raise RecipeError(f"recipe {recipe.name}: question `{recipe.question}` was never asked in this lake{until}{meant}")


def _check_numbers(set_id: str, entries: Sequence[Mapping[str, Any]]) -> None:
    found = [(int(row["ordinal"]), str(row["label_id"])) for row in entries]
    for number, (ordinal, label) in enumerate(found):
        if ordinal != number:
            before = found[number - 1][1] if number else None
            what = f"are both number {ordinal}" if ordinal < number else f"leave number {number} to nobody"
            raise TableError(
                f"silver.label_sets: labels {before!r} and {label!r} of set `{set_id}` {what}; numbers are given once, "
                "from 0: put the table back from a copy of the lake, or use a label set of another name"
            )


def _is_known(since: datetime, recipe: Recipe) -> bool:
    return recipe.as_of.known_at is None or since <= recipe.as_of.known_at
