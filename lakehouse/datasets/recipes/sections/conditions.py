"""Conditions on columns, as `[select.where]` states them: `width = { min = 640 }`, `origin = "real"`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from lakehouse.datasets.recipes.canonical import Codec, typed_value, untyped_value
from lakehouse.errors import RecipeError
from lakehouse.names import nearest

COMPARED = {"min": ">=", "max": "<=", "above": ">", "below": "<"}
LISTED = ("in", "not")
WORDS = (*COMPARED, *LISTED, "starts_with", "null")


def conditions_of(said: object) -> dict[str, Any]:
    """Return what is said of one column as a table of conditions: a value, or a list of them, is `in`."""
    table = dict(said) if isinstance(said, Mapping) else {"in": said}
    for word in LISTED:
        if word in table:
            value: Any = table[word]
            listed = list(value) if isinstance(value, list | tuple) else [value]
            table[word] = [each for place, each in enumerate(listed) if each not in listed[:place]]
    return table


def check_conditions(where: Mapping[str, object], place: str) -> None:
    """Refuse conditions that cannot be, whatever the column holds.

    Raises:
        RecipeError: If a word is unknown, a list is empty, a value is of another type than the word takes, or nothing
            can pass.
    """
    for column, said in where.items():
        here = f"{place}.{column}"
        table = conditions_of(said)
        if not table:
            raise RecipeError(f"{here}: no condition is stated; give a value, a list, or a table of {', '.join(WORDS)}")
        for word, value in table.items():
            if word not in WORDS:
                raise RecipeError(f"{here}: unknown condition `{word}`{nearest(word, WORDS)}")
            _check_value(here, word, value)
        kinds = {_kind(value) for word, value in table.items() if word in COMPARED}
        if len(kinds) > 1:
            raise RecipeError(f"{here}: min, max, above and below take values of one type")
        low = max((table[word] for word in ("min", "above") if word in table), default=None)
        high = min((table[word] for word in ("max", "below") if word in table), default=None)
        if low is not None and high is not None and low > high:
            raise RecipeError(f"{here}: nothing is from {low} to {high}")


def _check_value(here: str, word: str, value: object) -> None:
    if word in LISTED and isinstance(value, list):
        if not value:
            raise RecipeError(f"{here}: `{word}` has no value; leave the column out, or name one")
        kinds = {_kind(each) for each in value}
        if len(kinds) > 1 or None in kinds:
            raise RecipeError(f"{here}: `{word}` takes values of one type, found {value!r}")
    elif word == "null" and not isinstance(value, bool):
        raise RecipeError(f"{here}: `null` takes true or false, found {value!r}")
    elif word == "starts_with" and (not isinstance(value, str) or not value):
        raise RecipeError(f"{here}: `starts_with` takes a text, found {value!r}")
    elif word in COMPARED and _kind(value) not in ("number", "timestamp"):
        raise RecipeError(f"{here}: `{word}` takes a number or a time, found {value!r}")


def _kind(value: object) -> str | None:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number" if math.isfinite(value) else None
    return "text" if isinstance(value, str) else "timestamp" if isinstance(value, datetime) else None


def _written(where: Mapping[str, object]) -> dict[str, object]:
    return {column: {word: _listed(word, value) for word, value in conditions_of(said).items()}
            for column, said in where.items()}  # fmt: skip


def _listed(word: str, value: Any) -> object:
    # Its order says nothing.
    return [typed_value(each) for each in sorted(value)] if word in LISTED else typed_value(value)


def _read(where: Mapping[str, Any]) -> dict[str, object]:
    return {column: {word: untyped_value(value) for word, value in table.items()} for column, table in where.items()}


CONDITIONS = Codec(_written, _read)
"""In one form, however they were written: `{"origin": {"in": ["real"]}}`."""
