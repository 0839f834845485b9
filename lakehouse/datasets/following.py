"""Following a recipe as far as nothing is written: what it reads, whom it considers, and what may not be."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from lakehouse.datasets.answers import heard_opinions, tally
from lakehouse.datasets.classes import classes_of
from lakehouse.datasets.groups import LeakGroups, leak_groups
from lakehouse.datasets.official import Official, assigned, official_splits, without_column
from lakehouse.datasets.own_fields import own_fields, with_values
from lakehouse.datasets.plan import consider
from lakehouse.datasets.policies.kind import AnswerKind
from lakehouse.datasets.recipe import Recipe
from lakehouse.datasets.version import Inputs, inputs_of, pin
from lakehouse.engines import Relation
from lakehouse.errors import QueryFailedError, QueryRefusedError, RecipeError
from lakehouse.lake import Lake
from lakehouse.query import Pins, fetch
from lakehouse.sql.contained import user_query
from lakehouse.sql.gate import check_query
from lakehouse.steps.step import StepRecord
from lakehouse.tables.read import pin_heads
from lakehouse.views.registry import view_texts
from schemas.tables import BATCHES, BY_NAME

STRANGE = """
select count(*) as n, min(p.entity_id) as example from picked p
where not exists (select 1 from silver.entities e where e.entity_id = p.entity_id)
"""


@dataclass(frozen=True, slots=True)
class Read:
    """What a recipe reads, and the id that follows from it.

    Attributes:
        recipe: The recipe.
        kind: Kind of the answers; None if it asks no question.
        inputs: Pins, digests and contracts.
        heard: Actors and opinions that the policy hears; None if it asks no question.
        classes: Labels by their class numbers.
        groups: Leak groups; None without any.
        official: Splits that the data states; None without any.
        dataset_id: Id of the version.
    """

    recipe: Recipe
    kind: AnswerKind | None
    inputs: Inputs
    heard: tuple[Relation, Relation] | None
    classes: tuple[str, ...]
    groups: LeakGroups | None
    official: Official | None
    dataset_id: str


def pinned(lake: Lake, recipe: Recipe) -> tuple[Pins, Pins]:
    """Return the head of silver.batches, and then those of what a recipe reads: an import writes them the other way."""
    batches = pin_heads(lake, [BATCHES.name])
    return batches, pin(lake, recipe)


def read_inputs(lake: Lake, recipe: Recipe, kind: AnswerKind | None, pins: Pins) -> Read:
    """Return what a recipe reads at these pins; no entity is looked at.

    Raises:
        RecipeError: As `lakehouse.datasets.build.build`.
    """
    heard = None if kind is None else heard_opinions(lake, recipe, kind, pins)
    groups = leak_groups(lake, recipe, pins)
    official = official_splits(lake, recipe, pins)
    classes = () if kind is None or heard is None else classes_of(lake, recipe, kind, pins, heard[1])
    inputs = inputs_of(lake, recipe, pins, kind=kind, heard=heard, classes=classes, groups=groups, official=official)
    return Read(recipe, kind, inputs, heard, classes, groups, official, inputs.version_id(recipe))


def considered_by(lake: Lake, read: Read, record: StepRecord) -> tuple[Relation, dict[str, str]]:
    """Return every selected entity with its answer, stratum, group and, if it is out, the reason; and own fields.

    Args:
        lake: The lake.
        read: From `read_inputs`.
        record: Gets notes about names of official splits that nothing has.

    Raises:
        RecipeError: As `lakehouse.datasets.build.build`.
    """
    recipe, pins = read.recipe, read.inputs.pins
    votes = None if read.kind is None or read.heard is None else tally(lake, recipe, read.kind, read.heard[1])
    selection = _selection(lake, recipe, pins)
    picked, fields = _picked(lake, recipe, without_column(recipe, selection), read.kind, pins)
    official = read.official
    considered = consider(
        lake,
        recipe,
        picked,
        kind=read.kind,
        tally=votes,
        groups=None if read.groups is None else read.groups.rows,
        official=None if official is None else assigned(lake, recipe, official, selection, read.groups, pins, record),
        pins=pins,
    )
    return considered, fields


def check_selection(recipe: Recipe) -> None:
    """Refuse a selection that is not one query that only reads.

    Raises:
        QueryRefusedError: If it is not.
    """
    try:
        check_query(recipe.select.sql, known={*BY_NAME, *view_texts()})
    except QueryRefusedError as error:
        raise QueryRefusedError(f"recipe {recipe.name}: select.sql: {error}") from error


def _selection(lake: Lake, recipe: Recipe, pins: Pins) -> pa.Table:
    # People's SQL runs in DuckDB whichever engine does the rest: Spark SQL can start programs and read secrets.
    try:
        found = user_query(
            lake.home, recipe.select.sql, params=recipe.select.params, pins=pins, limits=lake.config.sql
        )
    except QueryFailedError as error:
        raise RecipeError(f"recipe {recipe.name}: select.sql: {error}") from error
    if found.column_names.count("entity_id") > 1:
        raise RecipeError(f"recipe {recipe.name}: select.sql returns entity_id more than once; name one column of them")
    if "entity_id" not in found.column_names:
        raise RecipeError(
            f"recipe {recipe.name}: select.sql returns {', '.join(found.column_names)}; it must return entity_id"
        )
    return found


def _picked(
    lake: Lake, recipe: Recipe, selection: pa.Table, kind: AnswerKind | None, pins: Pins
) -> tuple[Relation, dict[str, str]]:
    where = f"recipe {recipe.name}: select.sql"
    fields = own_fields(where, selection, kind)
    ids = with_values(where, selection, fields)
    if ids.num_rows == 0:
        raise RecipeError(f"recipe {recipe.name}: select.sql selects no entity; run it with `petrel sql` to see why")
    picked = lake.engine.from_arrow(ids)
    strange = fetch(lake, STRANGE, inputs={"picked": picked}, pins=pins)[0]
    if strange["n"]:
        raise RecipeError(
            f"recipe {recipe.name}: {strange['n']} of {ids.num_rows} ids that select.sql returns, for example "
            f"{strange['example']!r}, are no entities of this lake; join with entities"
        )
    return picked, fields


def check_strata(lake: Lake, recipe: Recipe, members: Relation, considered: Relation) -> None:
    """Refuse strata with fewer members than the recipe asks for.

    Raises:
        RecipeError: If any is short; the message names them.
    """
    if not recipe.strata.min:
        return
    text = """
        select c.stratum, count(m.entity_id) as n from (select distinct stratum from considered
        where stratum is not null) c left join members m on m.stratum = c.stratum group by c.stratum
    """
    counts = dict.fromkeys(recipe.strata.cells, 0)
    counts |= {
        row["stratum"]: row["n"] for row in fetch(lake, text, inputs={"members": members, "considered": considered})
    }
    # A cell whose own maximum is lower was meant to be small.
    least = {cell: min(recipe.strata.min, recipe.strata.cells.get(cell, recipe.strata.min)) for cell in counts}
    short = [cell for cell in sorted(counts) if counts[cell] < least[cell]]
    if short:
        shown = ", ".join(f"{cell} has {counts[cell]}" for cell in short[:10])
        raise RecipeError(
            f"recipe {recipe.name}: strata below strata.min = {recipe.strata.min}: {shown}; "
            "lower the minimum, select more, or give the cell a maximum of 0"
        )


def split_counts(lake: Lake, recipe: Recipe, members: Relation) -> dict[str, int]:
    """Return split -> members: of official splits those that there are, else those of the ratios, empty ones too."""
    text = "select split, count(*) as n from members group by split"
    found = {row["split"]: row["n"] for row in fetch(lake, text, inputs={"members": members})}
    if recipe.split.official:
        return dict(sorted(found.items()))
    return {split: found.get(split, 0) for split in recipe.split.ratios}
