"""Packages that are called like the command they hold: `lakehouse.dimensions(lake)`.

A function of the library and the package behind it have the name of one command; Python keeps one of the two under
`lakehouse.dimensions`, by which was imported first. So the package itself can be called, and imports the function then.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any


class _Command(ModuleType):
    _home: str

    def __call__(self, *args: Any, **named: Any) -> Any:
        return self._function()(*args, **named)

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(self._function())

    def _function(self) -> Callable[..., Any]:
        found: Callable[..., Any] = getattr(importlib.import_module(self._home), self.__name__.rpartition(".")[2])
        return found


def called(package: str, home: str) -> None:
    """Let a package be called as its command.

    Args:
        package: Name of the package, already imported.
        home: Name of the module with the function that is called like the package.
    """
    module = sys.modules[package]
    module.__class__ = _Command
    module.__dict__["_home"] = home
