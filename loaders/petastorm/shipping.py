"""Functions that a user hands in: sent to worker processes, and told apart from other functions."""

from __future__ import annotations

import functools
import hashlib
import os
import sys
import types
import zlib
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Shipped(Generic[T]):
    """A value that travels to a worker process even if it holds lambdas, or functions of a notebook.

    Only from a process to those that it starts itself: nothing that lies in a dataset or a cache comes this way.
    """

    value: T

    def __reduce__(self) -> tuple[Any, tuple[bytes]]:
        import cloudpickle  # not before it is needed: readers with threads send nothing

        # Functions of a script or notebook go whole and need nothing of it; compressed, so that who looks for
        # `__main__` in what is sent does not have the workers import it again.
        return _received, (zlib.compress(cloudpickle.dumps(self.value), 1),)


def _received(raw: bytes) -> Shipped[Any]:
    import pickle

    return Shipped(pickle.loads(zlib.decompress(raw)))


def digest_of(function: object) -> str:
    """Return 64 hex digits that change when a function does: its code, constants, defaults, what it closes over, and
    the values and functions of its module that it names.

    What cannot be looked into makes a digest that never comes again: better make rows again than give old ones.
    """
    digest = hashlib.sha256()
    _add(digest, function, {})
    return digest.hexdigest()


def _add(digest: Any, value: Any, seen: dict[int, object]) -> None:
    if isinstance(value, str | bytes | int | float | bool | None):
        digest.update(f"{type(value).__name__}:{value!r};".encode())
        return
    if id(value) in seen:
        digest.update(b"again;")
        return
    seen[id(value)] = value  # kept: another object must not get its id
    if isinstance(value, types.CodeType):
        digest.update(value.co_code)
        _add(digest, [*value.co_names, *value.co_varnames, *value.co_consts], seen)
    elif isinstance(value, types.FunctionType):
        digest.update(f"function:{value.__module__}.{value.__qualname__};".encode())
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        _add(digest, [value.__code__, value.__defaults__, value.__kwdefaults__, *cells], seen)
        _add(digest, _named(value), seen)
    elif isinstance(value, types.MethodType):
        _add(digest, [value.__func__, value.__self__], seen)
    elif isinstance(value, functools.partial):
        _add(digest, [value.func, value.args, value.keywords], seen)
    elif isinstance(value, types.ModuleType | types.BuiltinFunctionType):
        digest.update(f"{getattr(value, '__module__', '')}.{value.__name__};".encode())
    elif isinstance(value, type):
        digest.update(f"class:{value.__module__}.{value.__qualname__};".encode())
        if value.__module__ not in sys.stdlib_module_names:
            _add(digest, [each for each in vars(value).values() if isinstance(each, types.FunctionType)], seen)
    elif isinstance(value, tuple | list):
        digest.update(f"{type(value).__name__}{len(value)};".encode())
        for item in value:
            _add(digest, item, seen)
    elif isinstance(value, set | frozenset):
        _add(digest, sorted(map(repr, value)), seen)
    elif isinstance(value, dict):
        _add(digest, [*value, *value.values()], seen)
    else:
        _add_object(digest, value, seen)


def _add_object(digest: Any, value: Any, seen: dict[int, object]) -> None:
    import pickle

    _add(digest, type(value), seen)
    try:
        digest.update(pickle.dumps(value, protocol=4))
    except Exception:  # holds a lambda, a lock, a file ...
        state = getattr(value, "__dict__", None)
        if state:
            _add(digest, dict(state), seen)
        else:
            digest.update(os.urandom(16))


def _named(function: types.FunctionType) -> dict[str, object]:
    """Return what a function names of its module: plain values, and functions and classes that are defined there."""
    found: dict[str, object] = {}
    for name in function.__code__.co_names:
        value = function.__globals__.get(name)
        is_own = isinstance(value, types.FunctionType | type) and value.__module__ == function.__module__
        if is_own or isinstance(value, str | bytes | int | float | bool | tuple | list | dict | set | frozenset):
            found[name] = value
    return found
