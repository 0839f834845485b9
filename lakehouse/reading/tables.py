"""One table or view as Arrow: as it is now, at a version, or as it was at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import pyarrow as pa

from lakehouse.commits.at import split_name
from lakehouse.engines.gate import check_query
from lakehouse.engines.tree import tables_read
from lakehouse.errors import ConfigError, QueryFailedError, TableNotFoundError, VersionUnavailableError
from lakehouse.lake import Lake
from lakehouse.names import nearest
from lakehouse.query import Pins, query
from lakehouse.reading.versions import version_at
from lakehouse.tables.read import head
from lakehouse.views.registry import VIEW_NAMES, view_text
from schemas.tables import BY_NAME


def read_table(
    lake: Lake,
    name: str,
    *,
    version: int | Mapping[str, int] | None = None,
    as_of: datetime | None = None,
    columns: Sequence[str] | None = None,
    where: str | None = None,
    params: Mapping[str, object] | None = None,
) -> pa.Table:
    """Return the rows of a table or view, in no order.

    Every file that is read was compared with the hash in its commit: once by each opened lake, and once on each
    machine as long as nobody touches it.

    Args:
        lake: The lake.
        name: As in SQL: `silver.entities`, `entities_wide`, `silver.opinions@paper` as a commit, tag or branch has it.
        version: Delta version of the table; of a view: table -> version, for the tables that it stands on.
        as_of: The version that was the newest at that time, by the clocks that wrote the commits; of a view: of every
            table that it stands on. Without it and `version`: now.
        columns: Names of the columns wanted, in this order; None takes all.
        where: Condition in DuckDB's dialect over the columns of this table or view alone, `width > $least`.
        params: Values for `$name` in it.

    Returns:
        Of a table: columns and types as `schemas` defines them; of a view: as the engine gives them.

    Raises:
        TableNotFoundError: If there is no such table or view; the message names the nearest.
        VersionUnavailableError: If there is no such version, or none was there at that time; the message says which
            there are, and when they were written.
        ConfigError: If there is no such column, or version and time are not what they must be.
        QueryRefusedError, QueryFailedError: If `where` is not one condition over this table.
        TableError: If a file of a table is missing or damaged.
    """
    name, pinned = split_name(lake.home, name)
    if name not in BY_NAME and name not in VIEW_NAMES:
        raise TableNotFoundError(f"no table or view `{name}`{nearest(name, [*BY_NAME, *VIEW_NAMES])}")
    pins = _pins(lake, name, version, as_of)
    if pins and pinned:
        raise ConfigError(f"{name}@...: a version or a time is given too; give one of them")
    pins = pins or pinned
    found = query(lake, f"select * from {name}{_condition(name, where)}", params=params, pins=pins)
    if columns is not None:
        wanted = ", ".join(_checked(name, columns, found.columns))
        found = lake.engine.sql(f"select {wanted} from found", {"found": found}, {})
    rows = lake.engine.arrow(found)
    if name not in BY_NAME:
        return rows
    schema = BY_NAME[name].arrow_schema
    return rows.cast(pa.schema([schema.field(each) for each in rows.column_names]))


def _pins(lake: Lake, name: str, version: int | Mapping[str, int] | None, as_of: datetime | None) -> Pins:
    if version is not None and as_of is not None:
        raise ConfigError(f"{name}: version = {version} and as_of = {as_of} are both given; give one of them")
    tables = _stands_on(name)
    if as_of is not None:
        return {each: version_at(lake.home, BY_NAME[each], as_of) for each in tables}
    if version is None:
        return {}
    if isinstance(version, int):
        if name not in BY_NAME:
            raise ConfigError(
                f"{name} is a view over {', '.join(tables)}: a number tells no version of it; give as_of, or the "
                f"versions of tables: version={{{tables[0]!r}: {version}}}"
            )
        version = {name: version}
    for each, number in version.items():
        if each not in tables:
            raise ConfigError(f"{name} does not read `{each}`, of which a version is given{nearest(each, tables)}")
        newest = head(lake.home, BY_NAME[each])
        if not 0 <= number <= newest:
            raise VersionUnavailableError(f"{each}@{number}: no such version; there are 0 to {newest} ({lake.home})")
    return version


def _stands_on(name: str) -> list[str]:
    """Return the tables that a table or view reads."""
    if name in BY_NAME:
        return [name]
    return sorted({table for read in tables_read(view_text(name)) for table in _stands_on(read)})


def _condition(name: str, where: str | None) -> str:
    if where is None:
        return ""
    # On lines of its own: a comment at its end would swallow the parenthesis.
    condition = f" where (\n{where}\n)"
    others = check_query(f"select * from {name}{condition}", known={*BY_NAME, *VIEW_NAMES}) - {name}
    if others:
        raise QueryFailedError(
            f"where reads {', '.join(sorted(others))}: it is a condition over {name} alone; join in SQL, with "
            "`lakehouse.user_query`"
        )
    return condition


def _checked(name: str, columns: Sequence[str], known: Sequence[str]) -> Sequence[str]:
    for each in columns:
        if each not in known:
            raise ConfigError(f"{name} has no column `{each}`{nearest(each, known)}")
        if columns.count(each) > 1:
            raise ConfigError(f"columns of {name}: `{each}` is given twice")
    if not columns:
        raise ConfigError(f"columns of {name}: none is given; None takes all")
    return columns
