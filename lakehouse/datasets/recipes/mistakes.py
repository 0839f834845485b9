"""All mistakes in a recipe file that can be seen without a lake, each with its file, line and column.

`load_recipe` stops at the first one. Here what was wrong is taken out, and the rest is looked at again: an unknown key
alone, else the whole table it stands in, because what its other keys mean may hang on it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lakehouse.datasets.following import check_selection
from lakehouse.datasets.plan import check_strata_columns
from lakehouse.datasets.recipes.files import KeyPath, RecipeText, read_recipe_text
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.errors import PetrelError

MOST = 100
"""More mistakes than anybody reads at once."""

NAMED = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*")
UNKNOWN = re.compile(r"(?P<table>[^`]*): unknown key `(?P<key>.+?)`[;,]?")


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake.

    Attributes:
        where: `file:line:column`; the file alone where the mistake is that something is missing.
        key: The key, as `split.ratios`; "" if the message names none that is stated.
        message: What was expected, what was found, and what to do.
    """

    where: str
    key: str
    message: str


def mistakes_in(path: str | Path) -> list[Mistake]:
    """Return the mistakes in a recipe file and those it extends: every unknown key, and of each table the first other.

    Raises:
        ConfigError: If a file is missing or not TOML.
        RecipeError: If `extends` or `unset` are wrong.
    """
    text = read_recipe_text(path)
    found: list[Mistake] = []
    while len(found) < MOST:
        mistake = _first(text)
        if mistake is None:
            break
        found.append(_placed(mistake, text))
        if not _taken_out(found[-1], text.record):
            break
    return sorted(found, key=lambda each: text.order(tuple(each.key.split("."))))


def _first(text: RecipeText) -> str | None:
    where = str(text.path)
    try:
        recipe = parse_recipe(text.record, where=where)
        check_strata_columns(recipe)
        check_selection(recipe)
    except PetrelError as error:
        return str(error).removeprefix(f"{where}: ").removeprefix(f"recipe {text.record.get('name')}: ")
    return None


def _placed(message: str, text: RecipeText) -> Mistake:
    key = _key(message, text)
    if not key:
        return Mistake(str(text.path), "", message)
    return Mistake(text.where(key), ".".join(key), message)


def _key(message: str, text: RecipeText) -> KeyPath:
    """Return the stated key that a message is about: messages name it first."""
    unknown = UNKNOWN.match(f": {message}")
    if unknown is not None:
        table = unknown["table"].removeprefix(":").strip()
        return (*filter(None, re.split(r"[.:] ?", table)), unknown["key"])
    # `split: group: expected str` and `split.group = ...` are both of `split.group`.
    words = message.replace(": ", ".", message.count(": ")).split(" ")
    for word in words:
        named = NAMED.match(word)
        parts = tuple(named.group().split(".")) if named else ()
        for end in range(len(parts), 0, -1):
            if parts[:end] in text.places:
                return parts[:end]
    return ()


def _taken_out(mistake: Mistake, record: dict[str, Any]) -> bool:
    """Take what was wrong out, and say whether there is less of the recipe now."""
    if "`name` is missing" in mistake.message:
        record["name"] = "unnamed"
        return True
    *tables, key = mistake.key.split(".") if ": unknown key" in f": {mistake.message}" else mistake.key.split(".")[:1]
    table: Any = record
    for each in tables:
        table = table.get(each) if isinstance(table, Mapping) else None
    if not isinstance(table, dict) or key not in table:
        return False
    del table[key]
    if not tables and key == "name":
        table["name"] = "unnamed"
    return True
