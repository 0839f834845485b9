"""Marts as a lake holds them: the run of each that holds, and its rows."""

from __future__ import annotations

import pyarrow as pa

from lakehouse.errors import TableNotFoundError
from lakehouse.lake import Lake
from lakehouse.names import nearest
from lakehouse.query import fetch
from lakehouse.views.marts import ROWS, RUNS, MartRun, runs_of, typed_rows


def held_runs(lake: Lake) -> dict[str, MartRun]:
    """Return name -> the run of each mart that holds, by name."""
    return runs_of(fetch(lake, RUNS))


def held_rows(lake: Lake, name: str) -> dict[str, str]:
    """Return key -> values of a mart, both as JSON."""
    return {row["key_json"]: row["values_json"] for row in fetch(lake, ROWS, params={"name": name})}


def mart_rows(lake: Lake, name: str) -> pa.Table:
    """Return the rows of a mart with the columns that it states, in the order of its keys as JSON.

    Raises:
        TableNotFoundError: If no mart of this name was made.
    """
    runs = held_runs(lake)
    if name not in runs:
        raise TableNotFoundError(f"no mart `{name}`{nearest(name, runs)}; `petrel marts` makes those of conf/marts")
    return typed_rows(runs[name], fetch(lake, ROWS, params={"name": name}))
