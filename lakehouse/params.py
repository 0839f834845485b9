"""Values of the parameters of a query, as callers give them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lakehouse.errors import QueryFailedError

Params = Mapping[str, object] | Sequence[object]
"""Values of parameters: by the names behind `$`, or in the order of `?`."""


def numbered(params: Params | None) -> Mapping[str, object]:
    """Return values by name; those of a list are called 1, 2 ..., as `$1` and DuckDB's `?` are.

    A NumPy array becomes the struct that SQL has of it, a number of NumPy's a plain one.

    Raises:
        QueryFailedError: If it is a text, which is no list of values.
    """
    if isinstance(params, str | bytes):
        raise QueryFailedError(f"params {params!r:.40}: expected values by name, or a list of them")
    if params is None or isinstance(params, Mapping):
        given = params or {}
    else:
        given = {str(place): value for place, value in enumerate(params, start=1)}
    return {name: _plain(value) for name, value in given.items()}


def is_array(value: object) -> bool:
    """Say whether a value is the struct of an array: `lakehouse.tensors.value.as_struct` makes them."""
    return isinstance(value, dict) and value.keys() == {"dtype", "shape", "bytes"}


def array_sql(value: Mapping[str, Any]) -> str:
    """Return such a struct in DuckDB's SQL; as bytes, which reach a function in half of the time of a list."""
    shape = ", ".join(str(int(length)) for length in value["shape"])
    dtype, data = str(value["dtype"]).replace("'", "''"), bytes(value["bytes"]).hex()
    return f"{{'dtype': '{dtype}', 'shape': CAST([{shape}] AS BIGINT[]), 'bytes': unhex('{data}')}}"


def _plain(value: Any) -> object:
    # By what it has: most queries load no NumPy.
    if not (hasattr(value, "dtype") and hasattr(value, "tobytes")):
        return value
    if value.ndim == 0:
        return value.item()
    from lakehouse.tensors.value import as_struct

    return as_struct(value)
