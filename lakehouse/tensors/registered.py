"""The functions of yours that SQL may call, by name; without NumPy, so that a query without them does not load it.

A package brings some with entry points of group `petrel.sql_functions`, each called like its function:

    [project.entry-points."petrel.sql_functions"]
    box_error = "my_package.errors:box_error"
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from lakehouse.errors import ConfigError
from lakehouse.plugins import installed, names_of

if TYPE_CHECKING:
    from lakehouse.tensors.named import SqlFunction

ENTRY_POINTS = "petrel.sql_functions"

_WORD = re.compile(r"[a-z_][a-z0-9_]*")
_known: dict[str, SqlFunction] = {}
_packages: list[frozenset[str]] = []


def register(function: SqlFunction) -> None:
    """Let SQL call a function of this process by its name; the same place may say it anew, as a notebook does.

    Raises:
        ConfigError: If another one has the name.
    """
    held = _known.get(function.name)
    if held is not None and held.place != function.place:
        raise ConfigError(
            f"two SQL functions are called `{function.name}`: {held.place} and {function.place}; rename one"
        )
    _known[function.name] = function


def names() -> frozenset[str]:
    """Return the names that SQL may call; functions of packages are not loaded."""
    return frozenset(_known) | _of_entry_points()


def close() -> None:
    """Look for no packages: what a process of ours may call, it was sent."""
    _packages[:] = [frozenset()]


def _of_entry_points() -> frozenset[str]:
    # Once: it looks at every installed package.
    if not _packages:
        _packages.append(frozenset(names_of(ENTRY_POINTS)))
    return _packages[0]


def called_in(text: str) -> list[SqlFunction]:
    """Return the functions whose names are words of a text of SQL.

    Raises:
        ConfigError: If an entry point cannot be loaded, or is called otherwise than its function.
    """
    if not _known and not _of_entry_points():
        return []
    wanted = set(_WORD.findall(text.lower()))
    found = [each for name, each in _known.items() if name in wanted]
    if wanted.isdisjoint(_of_entry_points() - _known.keys()):
        return found
    for each in _of_packages():
        register(each)
    return [each for name, each in _known.items() if name in wanted]


def all_registered() -> list[SqlFunction]:
    """Return every function of this process and of installed packages; raises as `called_in`."""
    for each in _of_packages():
        register(each)
    return list(_known.values())


def _of_packages() -> Iterable[SqlFunction]:
    if not _of_entry_points():
        return []
    from lakehouse.tensors.named import SqlFunction

    return list(installed(ENTRY_POINTS, SqlFunction))
