"""SQL over the lake: one dialect for steps and views, DuckDB for people.

    import lakehouse.sql

    connection = lakehouse.sql.connect(".petrel")               # DuckDB: no JVM
    names = lakehouse.sql.register_views(spark, ".petrel")      # the same views in a Spark session

Names are imported at their first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lakehouse.sql.contained import user_query
    from lakehouse.sql.session import connect
    from lakehouse.sql.spark_views import register_views

_HOMES = {
    "connect": "lakehouse.sql.session",
    "register_views": "lakehouse.sql.spark_views",
    "user_query": "lakehouse.sql.contained",
}

__all__ = ["connect", "register_views", "user_query"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
