"""Functions that a user hands in: sent to worker processes, and told apart from other functions."""

from __future__ import annotations

import hashlib
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
    """Return 64 hex digits that change when a function does: its code, constants, defaults and what it closes over.

    Functions that it calls by name are not looked into.
    """
    digest = hashlib.sha256()
    _add(digest, function, set())
    return digest.hexdigest()


def _add(digest: Any, value: object, seen: set[int]) -> None:
    if isinstance(value, str | bytes | int | float | bool | None):
        digest.update(f"{type(value).__name__}:{value!r};".encode())
        return
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, types.CodeType):
        digest.update(value.co_code)
        _add(digest, (*value.co_names, *value.co_varnames), seen)
        for constant in value.co_consts:
            _add(digest, constant, seen)
    elif isinstance(value, types.FunctionType):
        digest.update(f"function:{value.__module__}.{value.__qualname__};".encode())
        _add(digest, value.__code__, seen)
        _add(digest, value.__defaults__, seen)
        _add(digest, value.__kwdefaults__, seen)
        for cell in value.__closure__ or ():
            _add(digest, cell.cell_contents, seen)
    elif isinstance(value, types.MethodType):
        _add(digest, value.__func__, seen)
        _add(digest, value.__self__, seen)
    elif isinstance(value, tuple | list | set | frozenset):
        digest.update(f"{type(value).__name__}{len(value)};".encode())
        for item in sorted(value, key=repr) if isinstance(value, set | frozenset) else value:
            _add(digest, item, seen)
    elif isinstance(value, dict):
        for name, item in value.items():
            _add(digest, name, seen)
            _add(digest, item, seen)
    else:
        kind = type(value)
        digest.update(f"{kind.__module__}.{kind.__qualname__};".encode())
        if hasattr(value, "func") and hasattr(value, "args"):  # functools.partial
            _add(digest, (value.func, value.args, getattr(value, "keywords", None)), seen)
        if isinstance(call := vars(kind).get("__call__"), types.FunctionType):
            _add(digest, call, seen)
        if hasattr(value, "__dict__"):
            _add(digest, dict(vars(value)), seen)
        elif hasattr(value, "tobytes"):
            digest.update(value.tobytes())
