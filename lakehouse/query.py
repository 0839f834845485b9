"""One way to ask: SQL text over tables, views and relations of the step, on whichever engine the lake has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakehouse.commits.at import at_commits
from lakehouse.engines import Relation
from lakehouse.engines.dialect import table_names
from lakehouse.errors import TableNotFoundError
from lakehouse.lake import Lake
from lakehouse.params import Params, numbered
from lakehouse.tables.read import check_columns, head, whole
from lakehouse.verification.places import place_at
from lakehouse.views.registry import VIEW_NAMES, view_text
from lakehouse.views.saved import gated, saved_texts
from schemas.tables import BY_NAME, Table

Pins = Mapping[str, int]

_KNOWN = frozenset([*BY_NAME, *VIEW_NAMES])


def query(
    lake: Lake,
    text: str,
    *,
    inputs: Mapping[str, Relation] | None = None,
    params: Params | None = None,
    pins: Pins | None = None,
) -> Relation:
    """Return the rows of one query; lazy.

    Args:
        lake: The lake.
        text: In DuckDB's dialect. Names resolve to `inputs` first, then tables (`silver.entities`), then
            views (`entities_wide`), then saved views. `name@commit` reads a table or view as a commit, tag or branch
            has it.
        inputs: Relations of the step by name.
        params: Values for `$name` in the text, or a list of those for `?`; they become literals, never SQL.
        pins: Table name -> Delta version; a table that is not pinned is read at its head.

    Raises:
        TableNotFoundError: If a name is none of these; the message lists what there is.
        TableError: If a file of a table is missing or damaged.
    """
    given = numbered(params)
    at = at_commits(lake.home, text, known=_KNOWN)
    resolved = {
        name: _resolve(lake, at.named[name][0], at.text, {}, given, at.named[name][1]) if name in at.named
        else _resolve(lake, name, at.text, inputs or {}, given, pins or {})
        for name in table_names(at.text)
    }  # fmt: skip
    return lake.engine.sql(at.text, resolved, given)


def fetch(
    lake: Lake,
    text: str,
    *,
    inputs: Mapping[str, Relation] | None = None,
    params: Params | None = None,
    pins: Pins | None = None,
) -> list[dict[str, Any]]:
    """`query`, run now; returns the few rows of the answer."""
    relation = query(lake, text, inputs=inputs, params=params, pins=pins)
    rows: list[dict[str, Any]] = lake.engine.arrow(relation).to_pylist()
    return rows


def newer(lake: Lake, table: Table, since: int | None) -> Relation:
    """Return the rows of a table that came after version `since`, and maybe older ones; None takes all rows.

    Raises:
        TableError: If a file of the table is missing or damaged.
    """
    return _scanned(lake, table, None, since=since)


def count_rows(lake: Lake, rows: Relation) -> int:
    """Return how many rows a relation has."""
    return int(fetch(lake, "select count(*) as n from mine", inputs={"mine": rows})[0]["n"])


def _scanned(lake: Lake, table: Table, pin: int | None, *, since: int | None = None) -> Relation:
    version = whole(lake, table, head(lake.home, table) if pin is None else pin)
    lake.scanned.add((table.name, version))
    place, counted = place_at(lake.home, table, version)
    found = lake.engine.scan(place.folder, counted, since=since)
    check_columns(table, found)
    return found


def _resolve(
    lake: Lake, name: str, text: str, inputs: Mapping[str, Relation], params: Mapping[str, object], pins: Pins
) -> Relation:
    if name in inputs:
        return inputs[name]
    if name in BY_NAME:
        return _scanned(lake, BY_NAME[name], pins.get(name))
    if name in VIEW_NAMES:
        return query(lake, view_text(name, asked_by=text), params=params, pins=pins)
    saved = saved_texts(lake.home, pins={**dict(lake.home.pins if lake.home.read_only else ()), **pins})
    if name in saved:
        return query(lake, gated(name, saved), pins=pins)
    known = sorted([*BY_NAME, *VIEW_NAMES, *inputs, *saved])
    raise TableNotFoundError(f"no table or view `{name}`; known: {', '.join(known)}")
