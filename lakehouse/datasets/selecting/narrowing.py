"""From what `select.sql` gives to what is considered: conditions on columns, a time range, the newest share."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from fractions import Fraction

from lakehouse.datasets.recipes.recipe import Recipe
from lakehouse.datasets.recipes.sections.conditions import COMPARED, conditions_of
from lakehouse.engines import Relation
from lakehouse.errors import RecipeError
from lakehouse.lake import Lake
from lakehouse.names import nearest
from lakehouse.query import Pins, count_rows, query
from lakehouse.steps.step import StepRecord
from lakehouse.views.registry import wide_kinds
from schemas.tables import ENTITIES

WHERE = """
select p.entity_id, p.fields_json from picked p join entities_wide e on e.entity_id = p.entity_id where {conditions}
"""

TIME = """
select p.entity_id, p.fields_json from picked p join silver.entities e on e.entity_id = p.entity_id
where e.{clock} is not null and ($since is null or e.{clock} >= $since) and ($until is null or e.{clock} < $until)
"""

NEWEST = """
select entity_id, fields_json from (
    select p.entity_id, p.fields_json, row_number() over (order by e.{clock} desc, p.entity_id desc) as age
    from picked p join silver.entities e on e.entity_id = p.entity_id where e.{clock} is not null
) aged where age <= $most
"""

INSTANTS = "select entity_id, {clock} as instant from silver.entities order by entity_id"

TAKES: Mapping[str, tuple[str, Callable[[object], bool]]] = {
    "text": ("a text", lambda value: isinstance(value, str)),
    "boolean": ("true or false", lambda value: isinstance(value, bool)),
    "integer": ("a whole number", lambda value: isinstance(value, int) and not isinstance(value, bool)),
    "number": ("a number", lambda value: isinstance(value, int | float) and not isinstance(value, bool)),
    "timestamp": ("a time", lambda value: isinstance(value, datetime)),
}
"""Kind of a column -> what is compared with it, and whether a value is that."""


def check_columns(recipe: Recipe) -> None:
    """Refuse conditions on columns that do not exist, or that hold values of another type.

    Raises:
        RecipeError: See above; the message names the column, and the nearest one that exists.
    """
    kinds = wide_kinds()
    for column, said in recipe.select.where.items():
        here = f"recipe {recipe.name}: select.where.{column}"
        if column not in kinds:
            raise RecipeError(f"{here}: entities_wide has no column `{column}`{nearest(column, kinds)}")
        if column in ENTITIES.clock_columns:
            raise RecipeError(f"{here}: `{column}` is a clock of the lake; give select.time by = \"ingest\"")
        kind = kinds[column]
        if kind not in TAKES:
            raise RecipeError(f"{here}: `{column}` is of kind {kind}; conditions are on {', '.join(TAKES)}")
        for word, value in conditions_of(said).items():
            if word == "starts_with" and kind != "text":
                raise RecipeError(f"{here}: `starts_with` is for texts, and `{column}` is of kind {kind}")
            if word in COMPARED and kind not in ("integer", "number", "timestamp"):
                raise RecipeError(f"{here}: `{word}` is for numbers and times, and `{column}` is of kind {kind}")
            wanted, fits = TAKES[kind]
            for each in value if isinstance(value, list) else [value]:
                if word != "null" and not fits(each):
                    raise RecipeError(f"{here}: `{column}` is of kind {kind}: expected {wanted}, found {each!r}")


def narrowed(lake: Lake, recipe: Recipe, picked: Relation, pins: Pins, record: StepRecord) -> Relation:
    """Return what of `picked` the rest of `[select]` lets pass.

    Args:
        lake: The lake.
        recipe: The recipe.
        picked: entity_id and fields_json of what `select.sql` gives.
        pins: What the build reads.
        record: Gets the detail `selected`: how many were left after which key, if any is stated.

    Raises:
        RecipeError: If nothing is left; the message names the key.
    """
    select = recipe.select
    told: list[tuple[str, int]] = []

    def keep(key: str, text: str, params: Mapping[str, object]) -> None:
        nonlocal picked
        if not told:
            told.append(("select.sql", count_rows(lake, picked)))
        picked = lake.engine.stage(query(lake, text, inputs={"picked": picked}, params=params, pins=pins))
        told.append((key, count_rows(lake, picked)))
        if not told[-1][1]:
            before = f"none of the {told[-2][1]} entities that {told[-2][0]} leaves"
            raise RecipeError(f"recipe {recipe.name}: {key} selects no entity: {before} passes; loosen it")

    if select.where:
        conditions, values = _conditions(select.where)
        keep("select.where", WHERE.format(conditions=conditions), values)
    clock = select.clock
    if clock:
        # Also without a range: what has no time is told here, and is nobody's age.
        keep("select.time", TIME.format(clock=clock), {"since": select.time.since, "until": select.time.until})
    if select.newest < 1:
        # As it is written: 0.1 of 10 is 1, and the number next to 0.1 would give 2.
        share = Fraction(repr(select.newest))
        keep("select.newest", NEWEST.format(clock=clock), {"most": -int(-share * told[-1][1] // 1)})
    if told:
        record.details["selected"] = ", ".join(f"{count:,} after {key}" for key, count in told)
    return picked


def _conditions(where: Mapping[str, object]) -> tuple[str, dict[str, object]]:
    """Return SQL over `e` and its parameters. Names of columns are those of the schema: `check_columns` saw to that."""
    texts, params = [], dict[str, object]()

    def parts(place: int, column: str, said: object) -> Iterator[str]:
        integral = wide_kinds()[column] != "number"
        for word, value in conditions_of(said).items():
            name = f"{word}_{place}"
            if word == "null":
                continue
            params[name] = value if integral else _doubles(value)
            if word in COMPARED:
                yield f"e.{column} {COMPARED[word]} ${name}"
            elif word == "starts_with":
                yield f"starts_with(e.{column}, ${name})"
            else:
                yield f"e.{column} {'not ' if word == 'not' else ''}in ${name}"

    for place, (column, said) in enumerate(sorted(where.items())):
        joined = " and ".join(parts(place, column, said))
        null = conditions_of(said).get("null")
        if null is True:
            joined = f"({joined} or e.{column} is null)" if joined else f"e.{column} is null"
        elif null is False:
            joined = f"{joined} and e.{column} is not null" if joined else f"e.{column} is not null"
        texts.append(joined)
    return " and ".join(texts), params


def _doubles(value: object) -> object:
    return [float(each) for each in value] if isinstance(value, list) else float(str(value))


def instants_digest(lake: Lake, recipe: Recipe, pins: Pins) -> str:
    """Return a hash (64 hex) of when each entity of the lake came: content to a recipe that goes by that clock."""
    digest = hashlib.sha256()
    for batch in lake.engine.stream(query(lake, INSTANTS.format(clock=recipe.select.clock), pins=pins)):
        for entity, instant in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            digest.update(f"{entity} {instant.isoformat()}\n".encode())
    return digest.hexdigest()
