"""A query's rows as a published dataset: a recipe is written for it, built and materialised as every other one.

So its text, parameters, pins and content are in `gold.datasets` and in the manifest, it is traced, compared, pinned and
carded as datasets are, and there is no second way to publish.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lakehouse.commits.at import NamedCommits
from lakehouse.datasets.build import build
from lakehouse.datasets.recipes.recipe import Recipe, parse_recipe
from lakehouse.datasets.selecting.named_commits import filled, named_in
from lakehouse.lake import Lake
from lakehouse.materialise.step import materialise
from lakehouse.sql.contained import open_query
from lakehouse.sql.literals import sql_literals
from lakehouse.sql.ordered import in_total_order, is_cut
from lakehouse.steps.receipts import Receipt
from lakehouse.tables.read import pin_heads
from lakehouse.views.behind import tables_of
from lakehouse.views.saved import with_saved
from schemas.canonical import canonical_json, sha256_text

SPLIT = "train"
"""The only split of what a query gives: who wants several writes the recipe."""


def query_recipe(
    lake: Lake, text: str, *, params: Mapping[str, object] | None = None, name: str = "", seed: int = 0
) -> Recipe:
    """Return the recipe of a query: one split, no question, its columns as fields.

    Where the query has a `limit`, its order is completed (`lakehouse.sql.ordered`): else which rows it keeps of those
    that its order leaves equal could differ from run to run.

    Args:
        lake: The lake.
        text: One SELECT that returns `entity_id`; it may read `name@commit`.
        params: Values for `$name` in it.
        name: Name of the dataset; "": `query-` and 12 hex digits that are the same for the same text and parameters.
        seed: Of the order of rows in the files.

    Raises:
        QueryRefusedError, QueryFailedError: As `user_query`.
        ConfigError: If it names a commit, table or view that does not exist.
        RecipeError: If the name is none.
    """
    given = dict(params or {})
    name = name or f"query-{sha256_text(canonical_json([text, sql_literals(given)]))[:12]}"
    # Of saved views the recipe has the text: what they stand for later is another matter.
    at = named_in(text)
    sql = text = filled(with_saved(lake.home, at.text), _as_written(at))
    at = named_in(text)
    if is_cut(at.text):
        pins = pin_heads(lake, tables_of(at.text))
        with open_query(lake.home, text, params=given, pins=pins, limits=lake.config.sql, first=0) as answer:
            names = answer.schema.names
        if len(set(names)) == len(names):  # else the build refuses them, and says which
            sql = filled(in_total_order(at.text, names), _as_written(at))
    record = {
        "name": name, "seed": seed, "select": {"sql": sql, **({"params": given} if given else {})},
        "split": {"ratios": {SPLIT: 1.0}},
    }  # fmt: skip
    return parse_recipe(record, where="the query")


def _as_written(at: NamedCommits) -> dict[str, str]:
    return {ours: name + ref for ours, (name, ref) in at.named.items()}


def materialise_query(
    lake: Lake,
    text: str,
    *,
    params: Mapping[str, object] | None = None,
    name: str = "",
    seed: int = 0,
    fresh: bool = False,
    allow_failed: str = "",
) -> Iterator[Receipt]:
    """Build the dataset of a query and publish it; what is there already is left alone.

    Args:
        lake: The lake.
        text: As in `query_recipe`. Its order is that of no file: rows stand in a random one, made by `seed`.
        params: As in `query_recipe`.
        name: As in `query_recipe`.
        seed: As in `query_recipe`.
        fresh: As in `materialise`.
        allow_failed: As in `build` and `materialise`.

    Yields:
        The receipts of `build` and of `materialise`.

    Raises:
        RecipeError: As `build`: if a column's name or type is none of a field, or an entity is selected twice with
            different values.
        QueryRefusedError, QueryFailedError: As `user_query`.
    """
    recipe = query_recipe(lake, text, params=params, name=name, seed=seed)
    built = build(lake, recipe, allow_failed=allow_failed)
    yield built
    yield materialise(lake, str(built.details["dataset_id"]), fresh=fresh, allow_failed=allow_failed)
