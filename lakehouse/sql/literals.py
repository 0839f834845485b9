"""Values as SQL text. Apart from what looks at people's SQL: who only asks needs no DuckDB of its own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime

from lakehouse.errors import QueryFailedError
from lakehouse.params import array_sql, is_array


def sql_literals(params: Mapping[str, object]) -> dict[str, str]:
    """Return parameter name -> its value as SQL text.

    Raises:
        QueryFailedError: If SQL has no literal for a value.
    """
    return {name: _literal(value, f"parameter ${name}") for name, value in params.items()}


def _literal(value: object, where: str) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int):
        return f"({value})" if value < 0 else str(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise QueryFailedError(f"{where}: no SQL literal for {value}")
        # A bare 0.1 is a decimal, with rules of its own.
        return f"CAST({value!r} AS DOUBLE)"
    if isinstance(value, str):
        if "\0" in value:
            raise QueryFailedError(f"{where}: a text in SQL cannot hold the character NUL")
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, datetime):
        return f"CAST('{value.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}+00:00' AS TIMESTAMPTZ)"
    if isinstance(value, list | tuple | frozenset | set):
        # `in ()` is an error, `in (null)` is neither true nor false.
        items = [_literal(item, where) for item in sorted(value, key=repr)]
        return f"({', '.join(items)})" if items else "(SELECT NULL WHERE FALSE)"
    if isinstance(value, dict) and is_array(value):
        return array_sql(value)
    raise QueryFailedError(f"{where}: no SQL literal for {type(value).__name__}: {value!r}")
