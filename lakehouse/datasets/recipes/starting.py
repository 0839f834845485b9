"""A first recipe, written from what a lake holds: it builds as it is, and its comments say what else could be asked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lakehouse.datasets.placing.groups import NAMES
from lakehouse.datasets.policies import usual_kind
from lakehouse.errors import ConfigError, RecipeError, printable
from lakehouse.lake import Lake
from lakehouse.media.kinds.registry import kind_of_type, media_kinds
from lakehouse.names import nearest
from lakehouse.query import fetch
from schemas.opinions import ACTOR_KINDS

SHOWN = 12
"""Labels, keys or columns that a comment names at most."""

QUESTIONS = """
select o.question_id, a.kind, count(*) as answers, count(distinct o.subject_id) as subjects,
    count(distinct o.actor_id) as actors
from current_opinions o join silver.actors a on a.actor_id = o.actor_id
group by o.question_id, a.kind order by answers desc, o.question_id, a.kind
"""
LABELS = """
select label, count(*) as answers from current_opinions
where question_id = $question and label is not null group by label order by answers desc, label
"""
SHAPE = """
select answer_kind, geometry_kinds from silver.questions where question_id = $question order by version
"""
MEDIA_TYPES = "select media_type, count(*) as entities from silver.entities group by media_type"


def starting_recipe(lake: Lake, name: str, question: str | None = None) -> str:
    """Return the text of a recipe.

    Args:
        lake: The lake.
        name: Name of the dataset.
        question: Question whose answers are wanted; None takes the one with most answers, "" none.

    Raises:
        RecipeError: If the lake has no entity.
        ConfigError: If nobody ever answered the question.
    """
    types = fetch(lake, MEDIA_TYPES)
    if not types:
        raise RecipeError(f"recipe {name}: this lake has no entity; bring files in: `petrel land`, `petrel entities`")
    asked = fetch(lake, QUESTIONS)
    known = list(dict.fromkeys(row["question_id"] for row in asked))
    if question and question not in known:
        raise ConfigError(f"--question {question}: nobody answered it{nearest(question, known)}")
    chosen = question if question is not None else next(iter(known), "")
    lines = [
        f"# Recipe of dataset {name}: written from what the lake held; every key can be changed (docs/datasets.md).",
        f"#   petrel dataset check --recipe {name}.toml          mistakes, with their lines",
        f"#   petrel dataset plan --lake LAKE --recipe {name}.toml    what a build would give",
        "",
        f"name = {toml_text(name)}",
        "seed = 1",
        *_question(lake, chosen, asked),
        "",
        *_select(types),
        *(_label(lake, chosen, asked) if chosen else ()),
        *_strata(lake, chosen),
        *_split(lake),
    ]
    return "\n".join(lines) + "\n"


def toml_text(text: str) -> str:
    """Return a text as a basic string of TOML, in which nothing stands that an editor or terminal would obey."""
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(each if each.isprintable() else f"\\U{ord(each):08X}" for each in quoted)


def _question(lake: Lake, chosen: str, asked: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for row in asked:
        if row["question_id"] == chosen:
            yield f"# {row['answers']:,} answers of {row['actors']:,} {row['kind']} about {row['subjects']:,} subjects"
    if chosen:
        yield f"question = {toml_text(chosen)}"
    others = [row["question_id"] for row in asked if row["question_id"] != chosen]
    if others:
        yield f"# other questions: {_few(dict.fromkeys(others))}"


def _select(types: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    counts: dict[str, int] = {}
    for row in types:
        kind = kind_of_type(media_kinds(), row["media_type"])
        prefix = kind.prefix if kind is not None else ""
        counts[prefix] = counts.get(prefix, 0) + row["entities"]
    most = max(sorted(counts), key=lambda each: counts[each])
    told = " + ".join(f"{count:,} {kind.rstrip('/') or 'files of no kind'}" for kind, count in sorted(counts.items()))
    yield "[select]"
    yield f"# the lake holds {told}; columns to choose by: petrel sql \"describe entities_wide\""
    if len(counts) == 1 or not most:
        yield 'sql = "select entity_id from entities_wide"'
        return
    # A dataset holds one kind of media.
    yield 'sql = "select entity_id from entities_wide where starts_with(media_type, $kind)"'
    yield f"params = {{ kind = {toml_text(most)} }}"


def _label(lake: Lake, question: str, asked: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    shape = fetch(lake, SHAPE, params={"question": question})[-1]
    kind = usual_kind(shape["answer_kind"], shape["geometry_kinds"] or ())
    if kind is None:
        raise RecipeError(
            f"question {question}: no dataset is made of answers of kind {shape['answer_kind']}; name another with "
            "--question, or none with --question ''"
        )
    kinds = {row["kind"] for row in asked if row["question_id"] == question}
    yield ""
    yield "[label]"
    policy, *others = sorted(kind.policies, key=lambda each: (each != "majority", each != "latest"))
    yield f"policy = {toml_text(policy)}     # or {_few(others) or 'no other'}"
    if kinds <= {"model", "rule", "consensus"}:
        # Nobody else answered; a recipe hears them only where it names them.
        yield f"kinds = [{', '.join(toml_text(each) for each in ACTOR_KINDS if each in kinds)}]"


def _strata(lake: Lake, question: str) -> Iterator[str]:
    labels = fetch(lake, LABELS, params={"question": question}) if question else []
    if not labels:
        return
    yield ""
    told = (f"{row['label']} {row['answers']:,}" for row in labels)
    yield f"# [strata]                 # answers: {_few(told)}"
    yield '# by = ["label"]'
    yield f"# max = {min(row['answers'] for row in labels)}     # as many of each as there are of the rarest"


def _split(lake: Lake) -> Iterator[str]:
    keys = [row["name"] for row in fetch(lake, NAMES)]
    yield ""
    yield "[split]"
    yield "ratios = { train = 0.8, val = 0.1, test = 0.1 }"
    if keys:
        yield f"# Group keys: {_few(keys)}. What shares a value stays on one side."
        yield f"group = {toml_text(keys[0])}"


def _few(words: Any) -> str:
    """Return words for a comment, which ends with its line."""
    found = [printable(str(word)) for word in words]
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return ", ".join(found[:SHOWN]) + more
