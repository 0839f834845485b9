"""Values of the parameters of a query, as callers give them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lakehouse.errors import QueryFailedError

Params = Mapping[str, object] | Sequence[object]
"""Values of parameters: by the names behind `$`, or in the order of `?`."""


def numbered(params: Params | None) -> Mapping[str, object]:
    """Return values by name; those of a list are called 1, 2 ..., as `$1` and DuckDB's `?` are.

    Raises:
        QueryFailedError: If it is a text, which is no list of values.
    """
    if isinstance(params, str | bytes):
        raise QueryFailedError(f"params {params!r:.40}: expected values by name, or a list of them")
    if isinstance(params, Mapping):
        return params
    return {str(place): value for place, value in enumerate(params or (), start=1)}
