"""`create dataset NAME as select ...`: the recipe of a query as a file, built as every other one.

The file is the dataset's from then on: it is what one edits, keeps in git and gives to `petrel build`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lakehouse.datasets.build import build
from lakehouse.datasets.recipes.recipe import Recipe, load_recipe
from lakehouse.datasets.recipes.starting import toml_text
from lakehouse.errors import ConfigError, RecipeError
from lakehouse.lake import Lake
from lakehouse.materialise.querying import query_recipe
from lakehouse.steps.receipts import Receipt


def create_dataset(
    lake: Lake, name: str, text: str, *, recipe: str | Path, params: Mapping[str, object] | None = None
) -> Receipt:
    """Write the recipe of a query, and build it; a second time changes nothing.

    Args:
        lake: The lake.
        name: Name of the dataset.
        text: One SELECT that returns `entity_id`; its other columns become fields. Saved views are written out.
        recipe: The file. One that is there must say the same.
        params: Values for `$name` in the query; they stand in the recipe.

    Returns:
        The receipt of `build`.

    Raises:
        ConfigError: If the file says something else, or cannot be written.
        RecipeError, QueryRefusedError, QueryFailedError: As `build`; a file that was written for it is removed.
    """
    path = Path(recipe)
    told = recipe_text(query_recipe(lake, text, params=params, name=name))
    try:
        with path.open("x", encoding="utf-8", newline="") as file:
            file.write(told)
        new = True
    except FileExistsError:
        new = False
        if path.is_dir() or path.read_bytes() != told.encode():
            raise ConfigError(
                f"{path}: is there and says something else; edit it and run `petrel build --recipe {path}`, or give "
                "another file with --recipe"
            ) from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror}); give another file with --recipe") from error
    try:
        return build(lake, load_recipe(path))
    except BaseException:
        if new:
            path.unlink(missing_ok=True)
        raise


def recipe_text(recipe: Recipe) -> str:
    """Return the recipe of a query as TOML.

    Raises:
        RecipeError: If a parameter is of a kind that TOML has not.
    """
    params = {key: _value(key, value) for key, value in recipe.select.params.items()}
    lines = [
        f"# The rows of a query. `petrel build --recipe {recipe.name}.toml` builds it again, over what is new.",
        "",
        f"name = {toml_text(recipe.name)}",
        f"seed = {recipe.seed}",
        "",
        "[select]",
        f"sql = {_text(recipe.select.sql)}",
        *([f"params = {{ {', '.join(f'{key} = {value}' for key, value in params.items())} }}"] if params else []),
        "",
        "[split]",
        f"ratios = {{ {', '.join(f'{split} = {ratio}' for split, ratio in recipe.split.ratios.items())} }}",
    ]
    return "\n".join(lines) + "\n"


def _text(sql: str) -> str:
    # As it was written, where TOML can hold it so.
    plain = "'''" not in sql and all(each.isprintable() or each == "\n" for each in sql)
    return f"'''\n{sql.strip()}\n'''" if plain else toml_text(sql)


def _value(key: str, value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return toml_text(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(key, each) for each in value)}]"
    raise RecipeError(f"parameter ${key}: a recipe holds text, numbers, booleans and lists, found {value!r:.80}")
