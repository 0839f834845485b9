"""What a recipe reads: which tables, and which measured dimensions.

A version id names only these. Doubt is resolved towards more: to hash what is not read costs another id, not to hash
what is read would give two contents one id.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from lakehouse.datasets.recipes.recipe import Recipe
from lakehouse.datasets.recipes.sections.split import official_place
from lakehouse.datasets.selecting.named_commits import read_ever, read_now
from lakehouse.engines import tree as sql_tree
from lakehouse.errors import RecipeError
from lakehouse.extractors.extractor import Extractor
from lakehouse.extractors.registry import extractors
from lakehouse.tensors.function import ArrayFunction
from lakehouse.views.behind import functions_of, tables_of
from lakehouse.views.ontology import MERGED_LABELS_VIEW
from schemas.tables import (
    ACTORS,
    CHANGESET_ENTITIES,
    CHANGESETS,
    DIMENSIONS,
    ENTITIES,
    ENTITY_SOURCES,
    LABEL_SETS,
    OPINIONS,
    QUESTIONS,
)

WIDE = "entities_wide"

COMPARED = {"phash": ("phash", "edge_hash"), "dhash": ("dhash",), "embedding": ()}
"""Measure of near-duplicates -> the dimensions that it compares."""

SIZE = ("width", "height")
"""Dimensions that crops and variants hang on, and that tell which of several near-duplicates has most pixels."""

FILM = ("video_frames", "video_duration_s", "video_height", "video_width")
"""Dimensions that clips hang on."""

UNNAMED = (exp.Star, exp.Columns, exp.PositionalColumn, exp.Pivot)
"""Parts of SQL that read columns without naming them."""


@dataclass(frozen=True, slots=True)
class DimensionsRead:
    """Which rows of silver.dimensions a recipe reads.

    Attributes:
        names: Dimensions that it names.
        all: It reads the table itself, or columns that it does not name (`select *`): every row counts.
    """

    names: frozenset[str] = frozenset()
    all: bool = False

    def extractors(self, measured: Iterable[str] | None = None) -> tuple[Extractor, ...]:
        """Return who measures what is read.

        Args:
            measured: Names of the extractors that have rows in the lake: who has none cannot matter to a recipe that
                reads everything. None takes all that are installed.
        """
        known = extractors() if measured is None else [each for each in extractors() if each.name in set(measured)]
        if self.all:
            return tuple(known)
        return tuple(each for each in extractors() if self.names & {dimension.name for dimension in each.dimensions})


def tables_read(recipe: Recipe) -> set[str]:
    """Return the names of the tables whose rows a recipe reads."""
    # A view that reads dimensions says nothing of them to a recipe that names none.
    names = (tables_of(read_now(recipe)) - {DIMENSIONS.name}) | {ENTITIES.name}
    dimensions = dimensions_read(recipe)
    if dimensions.all or dimensions.names:
        names |= {DIMENSIONS.name}
    if recipe.question:
        names |= {OPINIONS.name, ACTORS.name, QUESTIONS.name, LABEL_SETS.name}
    if recipe.split.keys or recipe.split.official.startswith(("folder:", "key:")):
        names |= {ENTITY_SOURCES.name}
    if recipe.changes.of:
        names |= {CHANGESETS.name, CHANGESET_ENTITIES.name}
    if recipe.duplicates.near == "embedding":
        names |= {OPINIONS.name}
    return names


def dimensions_read(recipe: Recipe, *, at_commits: bool = False) -> DimensionsRead:
    """Return which measurements a recipe reads, by the names in its selection and in its strata.

    Args:
        recipe: The recipe.
        at_commits: Also those that its selection reads as commits have them.
    """
    known = {dimension.name for each in extractors() for dimension in each.dimensions}
    read = known.intersection(recipe.strata.by) | known.intersection(recipe.select.where)
    if recipe.split.official.startswith("column:"):
        read |= known.intersection([official_place(recipe.split.official)[1]])
    read |= known.intersection([recipe.split.time.lower()])
    if recipe.samples.of == "regions":
        read |= known.intersection(SIZE)
    if recipe.variants.copies:
        read |= known.intersection((*SIZE, "exif_orientation"))
    if recipe.samples.of == "clips":
        read |= known.intersection(FILM)
    read |= known.intersection([recipe.samples.order])
    if recipe.duplicates.near:
        read |= known.intersection(COMPARED[recipe.duplicates.near])
        if recipe.duplicates.action == "drop":
            read |= known.intersection(SIZE)
    text = read_ever(recipe) if at_commits else read_now(recipe)
    views = _views_of(text)
    if DIMENSIONS.name in tables_of(text) and not views <= {WIDE}:
        return DimensionsRead(frozenset(read), all=True)
    if WIDE not in views:
        return DimensionsRead(frozenset(read))
    try:
        tree = sqlglot.parse_one(text, read="duckdb")
    except SqlglotError:
        # DuckDB reads more than sqlglot does.
        return DimensionsRead(frozenset(read), all=True)
    named = {node.name.lower() for node in tree.find_all(exp.Identifier)}
    return DimensionsRead(frozenset(read | (known & named)), all=_reads_unnamed(tree))


def array_functions_read(recipe: Recipe) -> list[ArrayFunction]:
    """Return the functions over arrays, ours and the user's, that the selection calls.

    Raises:
        RecipeError: If one of them gives other results each time.
    """
    found = functions_of(read_ever(recipe))
    for each in found:
        if not each.deterministic:
            raise RecipeError(
                f"select.sql calls {each.name}, which is not deterministic: the same recipe would select others each "
                "time; declare it so (deterministic=True) if it is"
            )
    return found


def reads_merges(recipe: Recipe) -> bool:
    """Tell whether the selection reads labels as the label sets merge them."""
    text = read_now(recipe)
    return tables_of(text) != tables_of(text, but=MERGED_LABELS_VIEW) or (
        MERGED_LABELS_VIEW in sql_tree.tables_read(text)
    )


def _views_of(text: str) -> set[str]:
    """Return the names in a query through which it reaches silver.dimensions: a view, or the table itself."""
    return {name for name in sql_tree.tables_read(text) if DIMENSIONS.name in tables_of(f"select * from {name}")}


def _reads_unnamed(tree: exp.Expr) -> bool:
    tables = {node.alias_or_name.lower() for node in tree.find_all(exp.Table, exp.Subquery, exp.CTE)}
    for node in tree.walk():
        if isinstance(node, UNNAMED) and not isinstance(node.parent, exp.Count):
            return True
        if isinstance(node, exp.Column) and node.name.lower() in tables:
            return True  # The row as a whole: `select e from entities_wide e`.
        if isinstance(node, exp.Table) and node.alias_column_names:
            return True  # Columns renamed by their place.
        if isinstance(node, exp.Join) and str(node.args.get("method") or "").upper() == "NATURAL":
            return True
    return False
