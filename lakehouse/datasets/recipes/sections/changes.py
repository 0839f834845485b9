"""[changes]: which changes of a virtual dataset count."""

from __future__ import annotations

from dataclasses import dataclass

from lakehouse.errors import RecipeError


@dataclass(frozen=True, slots=True)
class Changes:
    """Which entities a virtual dataset lets be considered; see `petrel changes`.

    Attributes:
        of: Name of the virtual dataset; "" considers all entities that `select` does.
        only: Numbers of the changes that count; none: all.
        without: Numbers of those that do not.
        tags: Changes with any of these tags count; none: all.
        upto: Number of the last change that counts; 0: the newest. The dataset changes with every later one then.
    """

    of: str = ""
    only: tuple[int, ...] = ()
    without: tuple[int, ...] = ()
    tags: tuple[str, ...] = ()
    upto: int = 0


def check_changes(changes: Changes, where: str) -> None:
    """Refuse changes that cannot be.

    Raises:
        RecipeError: If a choice has no virtual dataset, a number is none, or one both counts and does not.
    """
    if not changes.of:
        if changes != Changes():
            raise RecipeError(f"{where}: changes.of is missing; name the virtual dataset whose changes these are")
        return
    if changes.upto < 0 or any(number < 1 for number in (*changes.only, *changes.without)):
        raise RecipeError(f"{where}: changes.only, changes.without and changes.upto are numbers from 1")
    both = sorted(set(changes.only) & set(changes.without))
    if both:
        raise RecipeError(f"{where}: changes.only and changes.without both have {both[0]}; leave it out of one")
