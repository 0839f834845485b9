"""Functions that a user hands in: sent to worker processes, and told apart from other functions."""

from __future__ import annotations

import copyreg
import hashlib
import os
import sys
import types
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

T = TypeVar("T")

_PLAIN: tuple[type, ...] = (str, bytes, int, float, bool, tuple, list, dict, set, frozenset)


@dataclass(frozen=True)
class Shipped(Generic[T]):
    """A value that travels to a worker process even if it holds lambdas, or functions of a notebook.

    Only from a process to those that it starts itself: nothing that lies in a dataset or a cache comes this way.
    """

    value: T

    def __reduce__(self) -> tuple[Callable[[bytes], Shipped[object]], tuple[bytes]]:
        import cloudpickle  # not before it is needed: readers with threads send nothing

        # Functions of a script or notebook go whole and need nothing of it; compressed, so that who looks for
        # `__main__` in what is sent does not have the workers import it again.
        return _received, (zlib.compress(cloudpickle.dumps(self.value), 1),)


def _received(raw: bytes) -> Shipped[object]:
    import pickle

    return Shipped(pickle.loads(zlib.decompress(raw)))


def digest_of(function: object) -> str:
    """Return 64 hex digits that change when a function does: its code, constants, defaults, what it closes over, and
    the values and functions of its module that it names. Every process finds the same.

    What cannot be looked into makes a digest that never comes again: better make rows again than give old ones.
    """
    try:
        return _Digests().of(function).hex()
    except RecursionError:
        return os.urandom(32).hex()


class _Digests:
    """Digests of values, each made of those of its parts."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[object, bytes]] = {}  # the value is kept: another must not get its id

    def of(self, value: Any) -> bytes:
        if isinstance(value, str | bytes | int | float | bool | None):
            return hashlib.sha256(f"{type(value).__name__}:{value!r}".encode()).digest()
        if id(value) not in self._known:
            self._known[id(value)] = value, b"within itself"
            label, parts = self._parts(value)
            digest = hashlib.sha256(label.encode())
            for part in parts:
                digest.update(self.of(part))
            self._known[id(value)] = value, digest.digest()
        return self._known[id(value)][1]

    def _parts(self, value: Any) -> tuple[str, Iterable[object]]:
        if isinstance(value, types.CodeType):
            names = [*value.co_names, *value.co_varnames, *value.co_freevars]
            return "code", [value.co_code, value.co_exceptiontable, *names, *value.co_consts]
        if isinstance(value, types.FunctionType):
            label = f"function:{value.__module__}.{value.__qualname__}"
            return label, [value.__code__, value.__defaults__, value.__kwdefaults__, value.__closure__, _named(value)]
        if isinstance(value, types.CellType):
            return "cell", _contents(value)
        if isinstance(value, types.MethodType):
            return "method", [value.__func__, value.__self__]
        if isinstance(value, types.ModuleType):
            return f"module:{value.__name__}", []
        if isinstance(value, types.BuiltinFunctionType):
            return f"builtin:{value.__module__}.{value.__qualname__}", [value.__self__]
        if isinstance(value, staticmethod | classmethod):
            return type(value).__name__, [value.__func__]
        if isinstance(value, property):
            return "property", [value.fget]
        if isinstance(value, type):
            return f"class:{value.__module__}.{value.__qualname__}", _class_parts(value)
        if isinstance(value, tuple | list):
            return f"{type(value).__name__}:{len(value)}", value
        if isinstance(value, set | frozenset):
            return f"set:{len(value)}", sorted(map(self.of, value))
        if isinstance(value, dict):
            return f"dict:{len(value)}", [*value, *value.values()]
        return "object", [type(value), *_object_parts(value)]


def _contents(cell: types.CellType) -> list[object]:
    try:
        return [cell.cell_contents]
    except ValueError:  # empty: what it names is not defined yet
        return []


def _class_parts(kind: type) -> list[object]:
    if kind.__module__.partition(".")[0] in sys.stdlib_module_names:
        return []
    looked_at = (types.FunctionType, property, staticmethod, classmethod)
    own = [
        (name, each) for name, each in vars(kind).items()
        if isinstance(each, looked_at) or (not name.startswith("__") and isinstance(each, _PLAIN))
    ]  # fmt: skip
    return [*kind.__bases__, *own]


def _object_parts(value: Any) -> list[object]:
    wrapped = [value.__wrapped__] if hasattr(value, "__wrapped__") else []
    try:
        registered = copyreg.dispatch_table.get(type(value))
        reduced: Any = registered(value) if registered else value.__reduce_ex__(4)
    except Exception:  # a lock, a file ...
        return [dict(value.__dict__) if getattr(value, "__dict__", None) else os.urandom(16), *wrapped]
    if isinstance(reduced, str):
        return [reduced, *wrapped]
    # a function, its arguments, the state; items of a list, and of a dict, that are yet to come
    return [*reduced[:3], *(list(items) for items in reduced[3:5] if items is not None), *wrapped]


def _named(function: types.FunctionType) -> dict[str, object]:
    """Return what a function names of its module: plain values and arrays, functions and classes defined there."""
    found: dict[str, object] = {}
    for name in _names(function.__code__):
        value = function.__globals__.get(name)
        is_own = isinstance(value, types.FunctionType | type) and value.__module__ == function.__module__
        if is_own or isinstance(value, (*_PLAIN, np.ndarray, np.generic)):
            found[name] = value
    return found


def _names(code: types.CodeType) -> dict[str, None]:
    """Return the names in some code, and in that of the functions and comprehensions within it."""
    names = dict.fromkeys(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _names(constant)
    return names
