"""The file of a mart: what one row is, its keys and columns, what new rows touch, and the query of all rows.

    /*
    doc = "Files and bytes of each source and day."
    keys = ["source", "day"]

    [columns]                             # keys first; text, integer, number, boolean, timestamp or date
    source = "text"
    day = "date"
    files = "integer"

    [touched]                             # table -> the keys that its new rows, called `newer`, touch
    "bronze.landed_files" = "select source, cast(landed_at as date) as day from newer"
    */
    select source, cast(landed_at as date) as day, count(*) as files from bronze.landed_files group by all

The comment is TOML. Its name is that of the file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lakehouse.engines.gate import check_query
from lakehouse.errors import ConfigError, QueryRefusedError
from lakehouse.names import nearest
from lakehouse.typed import fill, parse_toml, toml_text
from lakehouse.views.behind import functions_of, tables_of, views_of
from lakehouse.views.marts import KINDS
from lakehouse.views.registry import VIEW_NAMES
from schemas.canonical import content_id
from schemas.tables import BY_NAME

NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
HEAD = re.compile(r"\s*/\*(.*?)\*/(.*)", re.DOTALL)
NEWER = "newer"


@dataclass(frozen=True, slots=True)
class Mart:
    """One mart.

    Attributes:
        name: Its name; `mart_<name>` in SQL.
        doc: What one row is.
        keys: Columns that identify a row, the first ones.
        columns: Column -> kind, keys first.
        touched: Table -> query over `newer` (its new rows) for the keys that these touch.
        sql: The query of all rows.
        tables: Tables behind it, sorted.
        where: File, for messages.
    """

    name: str
    doc: str
    keys: tuple[str, ...]
    columns: Mapping[str, str]
    touched: Mapping[str, str]
    sql: str
    tables: tuple[str, ...]
    where: str

    def definition_id(self) -> str:
        """Return the content id of all that its rows depend on, views among it, and versions of functions over arrays;
        not of `touched`, which only saves work."""
        said: dict[str, object] = {"keys": self.keys, "columns": list(self.columns.items()), "sql": self.sql}
        if views := views_of(self.sql):
            said["views"] = views
        if functions := {each.name: each.version for each in functions_of(self.sql)}:
            said["functions"] = functions
        return content_id(said)


@dataclass(frozen=True, slots=True)
class _Head:
    """What stands in the comment."""

    doc: str
    keys: tuple[str, ...]
    columns: Mapping[str, str]
    touched: Mapping[str, str] = field(default_factory=dict)


def load_mart(path: str | Path) -> Mart:
    """Read the file of one mart.

    Raises:
        ConfigError: If the file, its comment, a key, a kind or a table is unknown or of the wrong type.
        QueryRefusedError: If a text is not one read-only query over tables and views.
    """
    path = Path(path)
    parts = HEAD.fullmatch(toml_text(path))
    if parts is None:
        raise ConfigError(f"{path}: expected a comment /* ... */ of TOML with doc, keys and [columns], then the query")
    if not NAME.fullmatch(path.stem):
        raise ConfigError(f"{path}: expected a file name of a-z, 0-9 and _, as files_by_day.sql")
    head = fill(_Head, parse_toml(parts[1], path), where=str(path))
    sql = parts[2].strip().rstrip(";").rstrip()
    for name, kind in head.columns.items():
        if not NAME.fullmatch(name):
            raise ConfigError(f"{path}: columns: {name!r} is no name; use a-z, 0-9 and _")
        if kind not in KINDS:
            raise ConfigError(f"{path}: columns.{name}: no kind `{kind}`{nearest(kind, KINDS)}; known: {list(KINDS)}")
    if not head.keys or len(set(head.keys)) < len(head.keys) or tuple(head.columns)[: len(head.keys)] != head.keys:
        columns = list(head.columns)
        raise ConfigError(f"{path}: keys: expected the first of [columns] {columns}, found {list(head.keys)}")
    tables = tuple(sorted(_checked(sql, f"{path}")))
    for each in functions_of(sql):
        if not each.deterministic:
            raise ConfigError(f"{path}: calls {each.name}, which is not deterministic: touched rows would not be those "
                              "of a whole run; declare it so (deterministic=True) if it is")  # fmt: skip
    if not tables:
        raise ConfigError(f"{path}: the query reads no table or view")
    for table, text in head.touched.items():
        if table not in tables:
            raise ConfigError(f"{path}: touched: the query does not read {table}{nearest(table, tables)}; it reads "
                              f"{', '.join(tables)}")
        _checked(text, f"{path}: touched.{table}", NEWER)
    return Mart(path.stem, head.doc, head.keys, dict(head.columns), dict(head.touched), sql, tables, str(path))


def load_marts(place: str | Path, names: Sequence[str] = ()) -> tuple[Mart, ...]:
    """Read the marts of a folder, all `.sql` files or those that are named, or one file.

    Raises:
        ConfigError: As `load_mart`; also if the folder has none, or none of a name.
    """
    place = Path(place)
    paths = {path.stem: path for path in (sorted(place.glob("*.sql")) if place.is_dir() else [place])}
    if not paths:
        raise ConfigError(f"{place}: no mart in this folder; expected files *.sql, see conf/marts")
    for name in names:
        if name not in paths:
            raise ConfigError(f"{place}: no mart `{name}`{nearest(name, paths)}")
    return tuple(load_mart(path) for name, path in paths.items() if not names or name in names)


def _checked(text: str, where: str, *own: str) -> set[str]:
    try:
        check_query(text, known={*BY_NAME, *VIEW_NAMES, *own})
    except QueryRefusedError as error:
        raise QueryRefusedError(f"{where}: {error}") from error
    return tables_of(text)
