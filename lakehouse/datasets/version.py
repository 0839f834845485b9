"""The version id: a hash of the recipe, of the content it reads, and of the code contracts it relies on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lakehouse.datasets.groups import LeakGroups
from lakehouse.datasets.recipe import Recipe
from lakehouse.digest import relation_digest
from lakehouse.dimensions.registry import extractors
from lakehouse.engines import Relation
from lakehouse.lake import Lake
from lakehouse.query import Pins
from lakehouse.sql.dialect import table_names
from lakehouse.sql.views import view_texts
from lakehouse.tables import digest_at, head
from schemas.canonical import content_id
from schemas.tables import ACTORS, BY_NAME, ENTITIES, ENTITY_SOURCES, OPINIONS

BUILD_CONTRACT = 1
"""Raised whenever the same recipe over the same rows would give other members."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a build reads.

    Attributes:
        pins: Table name -> Delta version: where to read it again.
        digests: Table name -> digest: what was in it. Of opinions and actors only the rows that the label
            policy listens to, unless the selection reads those tables itself.
        contracts: Names and versions of the code that shapes the rows.
    """

    pins: Mapping[str, int]
    digests: Mapping[str, str]
    contracts: Mapping[str, int]

    def version_id(self, recipe: Recipe) -> str:
        """Return the dataset's version id, 32 hex digits."""
        return content_id(
            {"recipe": recipe.canonical(), "digests": dict(self.digests), "contracts": dict(self.contracts)}
        )


def pin(lake: Lake, recipe: Recipe) -> dict[str, int]:
    """Return the current version of every table that the recipe reads."""
    names = _tables_of(recipe.select.sql) | {ENTITIES.name}
    if any(name != "label" for name in recipe.strata.by):
        names |= _tables_of("select * from entities_wide")
    if recipe.question:
        names |= {OPINIONS.name, ACTORS.name}
    if recipe.split.group:
        names |= {ENTITY_SOURCES.name}
    return {name: head(lake.root, BY_NAME[name]) for name in sorted(names)}


def inputs_of(
    lake: Lake,
    recipe: Recipe,
    pins: Pins,
    *,
    heard: tuple[Relation, Relation] | None,
    groups: LeakGroups | None,
) -> Inputs:
    """Return the digests behind the pins.

    Args:
        lake: The lake.
        recipe: The recipe.
        pins: From `pin`.
        heard: Actors and opinions that the label policy listens to; None if the recipe asks no question.
        groups: Leak groups; None if the recipe has no group key.
    """
    selected = _tables_of(recipe.select.sql)
    # Of these only what is heard is content: a prediction, or the place a file lay at, changes no dataset.
    sliced = {OPINIONS.name, ACTORS.name, ENTITY_SOURCES.name} - selected
    digests = {}
    for name, version in pins.items():
        if name not in sliced:
            digests[name] = str(digest_at(lake, BY_NAME[name], version))
    if heard is not None:
        digests["heard.actors"], digests["heard.opinions"] = (str(relation_digest(lake.engine, rows)) for rows in heard)
    if groups is not None:
        digests["heard.groups"] = groups.digest
    if recipe.as_of.known_at is not None:
        # The clock is part of such a recipe: what was known then is content now.
        digests["as_of.known_at"] = recipe.as_of.known_at.isoformat()
    return Inputs(dict(pins), digests, contracts())


def contracts() -> dict[str, int]:
    """Return the versions of the code that shapes the members."""
    return {"build": BUILD_CONTRACT} | {f"extractor:{each.name}": each.version for each in extractors()}


def _tables_of(text: str) -> set[str]:
    found: set[str] = set()
    for name in table_names(text):
        if name in BY_NAME:
            found.add(name)
        elif name in view_texts():
            found |= _tables_of(view_texts()[name])
    return found
