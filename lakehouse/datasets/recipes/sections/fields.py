"""[fields]: which columns the materialised rows carry, and under which names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from lakehouse.datasets.recipes.canonical import CODEC, Codec
from lakehouse.errors import RecipeError

ALWAYS = ("entity_id", "sample_id", "window_id", "position")
"""Columns that keep their names where they are: they join a row back to the lake, or place it."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,127}")
_IN_NO_ORDER = {CODEC: Codec(sorted, list)}


@dataclass(frozen=True, slots=True)
class Fields:
    """Which columns the materialised rows carry, and under which names; they keep their types and their order.

    Attributes:
        pick: Names of the columns to carry, beside `entity_id`; []: all of them.
        drop: Names of columns to leave out.
        rename: Name of a column -> its name in what is materialised.
    """

    pick: tuple[str, ...] = field(default=(), metadata=_IN_NO_ORDER)
    drop: tuple[str, ...] = field(default=(), metadata=_IN_NO_ORDER)
    rename: Mapping[str, str] = field(default_factory=dict)

    @property
    def named(self) -> tuple[str, ...]:
        """Every name that must be a column."""
        return (*self.pick, *self.drop, *self.rename)


def check_fields(fields: Fields, where: str) -> None:
    """Refuse names that contradict each other, or that no column can have.

    Raises:
        RecipeError: If so.
    """
    if fields.pick and fields.drop:
        raise RecipeError(f"{where}: fields.pick says what stays, so fields.drop has nothing to say; leave one out")
    lost = sorted(name for name in fields.rename if name in fields.drop or (fields.pick and name not in fields.pick))
    if lost:
        raise RecipeError(f"{where}: fields.rename.{lost[0]}: this column is left out; take it from fields.rename")
    for name in (*fields.drop, *fields.rename):
        if name in ALWAYS:
            told = "joins rows back to the lake, or places them, and stays as it is; leave it out"
            raise RecipeError(f"{where}: fields: {name} {told}")
    for old, new in fields.rename.items():
        if not _NAME.fullmatch(new):
            raise RecipeError(f"{where}: fields.rename.{old} = {new!r}; use letters, digits and _, a letter first")
        if new in ALWAYS:
            told = "that is the name of what joins rows back to the lake, or places them; choose another"
            raise RecipeError(f"{where}: fields.rename.{old} = {new!r}: {told}")
    twice = sorted(new for new in set(fields.rename.values()) if [*fields.rename.values()].count(new) > 1)
    if twice:
        raise RecipeError(f"{where}: fields.rename gives two columns the name {twice[0]!r}")
