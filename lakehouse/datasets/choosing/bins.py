"""Bins: strata over columns of numbers, by edges that a recipe states or by quantiles of what it selects.

Both are comparisons with exact values, never a share of rows: equal values fall into one bin, on either engine.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

from lakehouse.datasets.recipes.recipe import Recipe
from lakehouse.engines import Relation
from lakehouse.errors import RecipeError
from lakehouse.lake import Lake
from lakehouse.names import nearest
from lakehouse.query import Pins, fetch

NUMBERS = ("integer", "number")
MOST_QUANTILES = 100

COUNT = "select count(e.{column}) as n from picked p join entities_wide e on e.entity_id = p.entity_id"

AT_PLACES = """
select place, value from (
    select cast(e.{column} as double) as value, row_number() over (order by e.{column}, e.entity_id) as place
    from picked p join entities_wide e on e.entity_id = p.entity_id where e.{column} is not null
) ranked where place in $places order by place
"""


def check_bins(recipe: Recipe, kinds: Mapping[str, str]) -> None:
    """Refuse bins that cannot be.

    Args:
        recipe: The recipe.
        kinds: Column of `entities_wide` -> kind of its values.

    Raises:
        RecipeError: If a column is not among the strata or holds no numbers, or its bins are neither rising edges nor a
            number of quantiles.
    """
    for column, said in recipe.strata.bins.items():
        where = f"recipe {recipe.name}: strata.bins.{column}"
        if column not in recipe.strata.by:
            raise RecipeError(f"{where}: strata.by does not have `{column}`; add it there")
        if column not in kinds:
            raise RecipeError(f"{where}: no column `{column}`{nearest(column, kinds)}")
        if kinds[column] not in NUMBERS:
            raise RecipeError(f"{where}: `{column}` is of kind {kinds[column]}; bins are for columns of numbers")
        if isinstance(said, int) and not isinstance(said, bool):
            if not 2 <= said <= MOST_QUANTILES:
                raise RecipeError(f"{where}: {said} quantiles; give 2 to {MOST_QUANTILES}, or a list of edges")
        elif not isinstance(said, list | tuple) or not said or not all(map(_is_number, said)):
            raise RecipeError(f"{where}: expected edges like [0.2, 0.5], or a number of quantiles, found {said!r}")
        elif any(one >= other for one, other in itertools.pairwise(said)):
            raise RecipeError(f"{where}: edges must rise, found {list(said)}")


def edges_of(lake: Lake, recipe: Recipe, picked: Relation, pins: Pins) -> dict[str, tuple[float, ...]]:
    """Return the edges of every binned column.

    Those of q quantiles are values of the selected entities, by the nearest rank: edge k is the smallest value that at
    least k of q parts of the values do not exceed. Without a value there is no edge.
    """
    found: dict[str, tuple[float, ...]] = {}
    for column, said in recipe.strata.bins.items():
        if isinstance(said, list | tuple):
            found[column] = tuple(map(float, said))
            continue
        quantiles = _cuts(said) + 1
        inputs = {"picked": picked}
        count = fetch(lake, COUNT.format(column=column), inputs=inputs, pins=pins)[0]["n"]
        places = [-(-k * count // quantiles) for k in range(1, quantiles)] if count else []
        params = {"places": sorted(set(places))}
        rows = fetch(lake, AT_PLACES.format(column=column), inputs=inputs, params=params, pins=pins) if places else []
        values = {row["place"]: row["value"] for row in rows}
        found[column] = tuple(values[place] for place in places)
    return found


def bin_names(said: object) -> list[str]:
    """Return the names of the bins of a column, rising, as `strata.bins` states them."""
    if isinstance(said, list | tuple):
        texts = [repr(float(edge)).removesuffix(".0") for edge in said]
        return [f"<{texts[0]}", *(f"{a}..{b}" for a, b in itertools.pairwise(texts)), f">={texts[-1]}"]
    return [f"q{place}" for place in range(1, _cuts(said) + 2)]


def bin_sql(recipe: Recipe, column: str) -> str:
    """Return SQL over `e` that gives the bin of a value as text, NULL for none; parameters as `bin_params` has them.

    Of edges a and b: `<a`, `a..b` (a within, b not) and `>=b`; of quantiles `q1` and so on, edges within the lower one.
    """
    names = bin_names(recipe.strata.bins[column])
    sign = "<" if isinstance(recipe.strata.bins[column], list | tuple) else "<="
    value = f"cast(e.{column} as double)"
    cases = " ".join(
        f"when {value} {sign} $bin_{column}_{place} then '{name}'" for place, name in enumerate(names[:-1])
    )
    return f"case when e.{column} is null then null {cases} else '{names[-1]}' end"


def bin_params(recipe: Recipe, edges: Mapping[str, tuple[float, ...]]) -> dict[str, object]:
    """Return the parameters of `bin_sql`; where there is no value there is nothing to compare, and they are 0."""
    found: dict[str, object] = {}
    for column, said in recipe.strata.bins.items():
        for place in range(_cuts(said)):
            found[f"bin_{column}_{place}"] = edges[column][place] if edges[column] else 0.0
    return found


def _cuts(said: object) -> int:
    """Return how many edges there are between the bins, of what `check_bins` let pass."""
    return len(said) if isinstance(said, list | tuple) else int(str(said)) - 1


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
