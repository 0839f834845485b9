"""What installed packages bring: objects that entry points of a group name."""

from __future__ import annotations

import functools
import importlib
import os
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar

from lakehouse.errors import ConfigError

T = TypeVar("T")


def names_of(group: str) -> list[str]:
    """Return the names of the entry points of a group, sorted; none of them is loaded."""
    return sorted({point.name for point in entry_points(group=group)})


def installed(group: str, kind: type[T]) -> Iterator[T]:
    """Yield what the entry points of a group name, by name.

    Args:
        group: For example petrel.extractors.
        kind: What each of them must be.

    Raises:
        ConfigError: If one cannot be loaded, or is something else; the message names its package.
    """
    for _, found in named(group, kind):
        yield found


def named(group: str, kind: type[T]) -> Iterator[tuple[str, T]]:
    """Yield (name of the entry point, what it names); see `installed`.

    Raises:
        ConfigError: If one cannot be loaded, or is something else; the message names its package.
    """
    for point in sorted(entry_points(group=group), key=lambda each: each.name):
        where = f"entry point {point.name} = {point.value} of {_package(point)}"
        try:
            found = point.load()
        except Exception as error:  # A package of the user's: its import may raise anything.
            raise ConfigError(
                f"{where} cannot be loaded: {type(error).__name__}: {error}; repair or uninstall the package"
            ) from error
        if not isinstance(found, kind):
            home = kind.__module__.rpartition(".")[0]
            raise ConfigError(f"{where}: expected an {kind.__name__} of {home}, found {type(found).__name__}")
        yield point.name, found


def object_at(place: str, kind: type[T]) -> T:
    """Return what `package.module:NAME` names; its module is imported, if need be from the working directory.

    Args:
        place: Where it is.
        kind: What it must be.

    Raises:
        ConfigError: If it cannot be imported, or is something else.
    """
    module, _, attribute = place.partition(":")
    if os.getcwd() not in sys.path:
        # A program that was installed does not look there. Last, so that it hides nothing; workers get this list.
        sys.path.append(os.getcwd())
    try:
        found = getattr(importlib.import_module(module), attribute)
    except Exception as error:  # Code of the user's: its import may raise anything.
        raise ConfigError(f"{place}: {type(error).__name__}: {error}; write package.module:NAME") from error
    if not isinstance(found, kind):
        raise ConfigError(f"{place}: expected an {kind.__name__}, found {type(found).__name__}")
    return found


def identity_of(name: str, *functions: Callable[..., Any]) -> str:
    """Return what the work of functions of people's is kept under: the name behind their module, of ours the name.

    Args:
        name: One with a dot is taken as it is.
        functions: What works, all of one module.

    Raises:
        ConfigError: If they are of no module, as those of notebooks, or of several: the name needs a dot then.
    """
    if "." in name:
        return name
    modules = {_module(each) for each in functions}
    if all(each.startswith("lakehouse.") for each in modules):
        return name
    if len(modules) > 1 or "__main__" in modules:
        said = "a notebook or script, as others may be" if "__main__" in modules else " and ".join(sorted(modules))
        raise ConfigError(
            f"`{name}` is of {said}: what it makes is kept under its name, and another of that name would find its "
            f"work done; give it a name with a dot, as name=\"my_project.{name}\""
        )
    return f"{modules.pop()}.{name}"


def _module(function: Callable[..., Any]) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    found = getattr(function, "__module__", None) or type(function).__module__
    return str(found)


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist is not None else "an unknown package"
