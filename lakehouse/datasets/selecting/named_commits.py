"""`name@commit` in a recipe's SQL: which commit that is, asked once, and which versions of tables stand behind it.

A branch, `HEAD` or a time means another commit tomorrow. So whoever follows a recipe first writes whole ids in their
place (`by_ids`): that recipe is hashed and recorded, and what is read by it is the same for ever.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import lru_cache

from lakehouse.commits.at import NamedCommits, commits_named, with_ids, with_names
from lakehouse.commits.manifest import read_commit
from lakehouse.datasets.recipes.recipe import Recipe
from lakehouse.errors import ConfigError, PetrelError, RecipeError, VersionUnavailableError
from lakehouse.home import Home
from lakehouse.lake import Lake
from lakehouse.tables.readers import reading
from lakehouse.verification.places import place_at
from lakehouse.verification.tables import verify_table
from lakehouse.views.behind import tables_of
from lakehouse.views.registry import VIEW_NAMES
from schemas.canonical import content_id
from schemas.tables import BY_NAME

KNOWN = frozenset([*BY_NAME, *VIEW_NAMES])

At = Mapping[str, Mapping[str, int]]
"""Id of a commit -> table -> number of the version that is read there."""


@lru_cache(maxsize=256)
def named_in(sql: str) -> NamedCommits:
    """Return the SQL with names of ours in place of each `name@commit`: a text that every parser reads.

    Raises:
        ConfigError: If no table or view is called so; the message names the nearest.
    """
    return commits_named(sql, known=KNOWN)


def read_now(recipe: Recipe) -> str:
    """Return the recipe's SQL so that its free tables are those that it reads as they are now."""
    return named_in(recipe.select.sql).text


def read_ever(recipe: Recipe) -> str:
    """Return the recipe's SQL as if it named no commit: which tables, views and columns it reads at all."""
    found = named_in(recipe.select.sql)
    return filled(found.text, {ours: name for ours, (name, _) in found.named.items()})


def filled(text: str, names: Mapping[str, str]) -> str:
    """Return a text of `named_in` with other names in place of ours."""
    # The last first: petrel_at_1 is the beginning of petrel_at_10.
    for ours, name in reversed(list(names.items())):
        text = text.replace(ours, name)
    return text


def by_ids(home: Home, recipe: Recipe) -> Recipe:
    """Return the recipe with the whole id of each commit that its SQL names.

    Raises:
        RecipeError: If nothing is called so; the message names the nearest.
        VersionUnavailableError: If there was no commit yet at a time.
    """
    if not named_in(recipe.select.sql).named:
        return recipe
    where = f"recipe {recipe.name}: select.sql"
    try:
        sql = with_ids(home, recipe.select.sql, known=KNOWN)
    except ConfigError as error:
        raise RecipeError(f"{where}: {error}") from error
    except VersionUnavailableError as error:
        raise VersionUnavailableError(f"{where}: {error}") from error
    return replace(recipe, select=replace(recipe.select, sql=sql))


def versions_at(home: Home, recipe: Recipe) -> At:
    """Return which versions of which tables a recipe `by_ids` reads as commits have them."""
    found: dict[str, dict[str, int]] = {}
    for name, commit_id in _by_id(recipe):
        tables = read_commit(home, commit_id).tables
        read = found.setdefault(commit_id, {})
        read |= {table: tables[table].number for table in tables_of(f"select * from {name}") if table in tables}
    return {commit_id: dict(sorted(read.items())) for commit_id, read in sorted(found.items())}


def digests_at(home: Home, at: At) -> dict[str, str]:
    """Return `table@commit` -> digest of what is read there."""
    return {
        f"{table}@{commit_id}": read_commit(home, commit_id).tables[table].digest
        for commit_id, read in at.items() for table in read
    }  # fmt: skip


def by_content(recipe: Recipe, digests: Mapping[str, str]) -> tuple[Recipe, dict[str, str]]:
    """Return a recipe `by_ids` with a hash of what is read there for each commit, and the digests of all else.

    It is what ids are made of: every build is a commit, and which one `HEAD` or a branch is changes no member.

    Args:
        recipe: The recipe.
        digests: Those of `digests_at`, others among them.
    """
    read: dict[str, dict[str, str]] = {f"@{commit_id}": {} for _, commit_id in _by_id(recipe)}
    if not read:
        return recipe, dict(digests)
    rest: dict[str, str] = {}
    for name, digest in digests.items():
        table, at, commit_id = name.partition("@")
        read.get(at + commit_id, rest)[table if at + commit_id in read else name] = digest
    sql = with_names(recipe.select.sql, lambda ref: f"@{content_id(read[ref])}", known=KNOWN)
    return replace(recipe, select=replace(recipe.select, sql=sql)), rest


def pins_at(at: At) -> dict[str, int]:
    """Return `table@commit` -> number of the version, as gold.datasets keeps them beside its pins."""
    return {f"{table}@{commit_id}": number for commit_id, read in at.items() for table, number in read.items()}


def check_at(lake: Lake, recipe: Recipe, at: At) -> None:
    """Check that what is read as commits have it is still there, whole, now.

    Raises:
        VersionUnavailableError: If files of it are gone: `maintain` removed what nothing kept, or it was erased.
        TableError: If a file is damaged.
    """
    for commit_id, read in at.items():
        for table, number in read.items():
            try:
                verify_table(*place_at(lake.home, BY_NAME[table], number))
            except PetrelError as error:
                error.add_note(f"recipe {recipe.name}: select.sql reads {table}@{commit_id}")
                raise


@contextmanager
def reading_at(lake: Lake, at: At, *, by: str) -> Iterator[None]:
    """Keep what is read as commits have it readable during the block; raises like `check_at`."""
    with ExitStack() as stack:
        for read in at.values():
            stack.enter_context(reading(lake, read, by=by))
        yield


def _by_id(recipe: Recipe) -> Iterator[tuple[str, str]]:
    for name, ref in named_in(recipe.select.sql).named.values():
        yield name, ref.removeprefix("@")
