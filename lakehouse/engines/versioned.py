"""`box_error@3(a, b)`: a call that says which version of a function is meant; another one that is there is an error."""

from __future__ import annotations

import itertools

from lakehouse.engines.tokens import tokens
from lakehouse.errors import QueryRefusedError
from lakehouse.tensors.registered import called_in


def without_versions(text: str) -> str:
    """Return a text whose calls say no versions, once these are compared with what is here.

    Raises:
        QueryRefusedError: If a function is not here, or in another version.
    """
    encoded, pieces = text.encode(), tokens(text)
    parts, done = [], 0
    for name, sign, number, bracket in zip(*(itertools.islice(pieces, at, None) for at in range(4)), strict=False):
        is_call = name.is_word and sign.text == "@" and number.text.isdecimal() and bracket.text == "("
        if is_call and name.end == sign.start and sign.end == number.start:
            _check(name.text.lower(), int(number.text))
            parts.append(encoded[done : name.end])
            done = number.end
    return b"".join([*parts, encoded[done:]]).decode()


def _check(name: str, version: int) -> None:
    found = next((each.function.version for each in called_in(name) if each.name == name), None)
    if found is None and name.startswith("nd_"):
        from lakehouse.tensors.registry import BUILT_IN

        found = BUILT_IN[name].version if name in BUILT_IN else None
    if found is None:
        raise QueryRefusedError(f"{name}@{version}: no function of arrays is called so")
    if found != version:
        raise QueryRefusedError(
            f"{name}@{version} is asked for, and version {found} is here: install the package that has it, or ask for "
            f"{name}@{found}, whose results are others"
        )
