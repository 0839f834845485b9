"""Keys that take one of a few words, or a list of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any, cast

from lakehouse.errors import RecipeError
from lakehouse.names import nearest

CHOICES = "choices"
"""Key of a field's metadata: what it takes, or a function that returns it."""


def choices_of(field: dataclasses.Field[Any]) -> tuple[str, ...]:
    """Return the words that a key takes; () if it takes any."""
    found: Iterable[str] | Callable[[], Iterable[str]] = field.metadata.get(CHOICES, ())
    return tuple(found() if callable(found) else found)


def check_choices(section: object, name: str, where: str) -> None:
    """Refuse words that the keys of a section do not take.

    Args:
        section: A dataclass, filled.
        name: Its name in a recipe: `split`.
        where: File, for messages.

    Raises:
        RecipeError: If a value is none of the known ones; the message names the nearest.
    """
    for field in dataclasses.fields(cast("Any", section)):
        known = choices_of(field)
        value = getattr(section, field.name)
        for each in () if not known or value is None else (value,) if isinstance(value, str) else value:
            if each not in known:
                raise RecipeError(f"{where}: {name}.{field.name} = {each!r}{nearest(each, known)}")
