"""Every function of SQL over arrays, by name."""

from __future__ import annotations

import re

from lakehouse.tensors import boxes, elements, reductions, shapes, statistics, vectors
from lakehouse.tensors.function import ArrayFunction
from lakehouse.tensors.registered import all_registered, called_in

BUILT_IN: dict[str, ArrayFunction] = {
    each.name: each
    for module in (shapes, reductions, elements, vectors, boxes, statistics)
    for each in module.FUNCTIONS
}

_WORD = re.compile(r"[a-z_][a-z0-9_]*")


def all_functions() -> list[ArrayFunction]:
    """Return every function, built-in ones and yours."""
    return [*BUILT_IN.values(), *(each.function for each in all_registered())]


def functions_in(text: str) -> list[ArrayFunction]:
    """Return the functions whose names are words of a text of SQL; some may stand in a string or name a column."""
    words = set(_WORD.findall(text.lower()))
    yours = [each.function for each in called_in(text)]
    return [*(each for name, each in BUILT_IN.items() if name in words), *yours]
