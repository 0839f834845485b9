"""Suites: what the rows of a table, a view or a query are expected to hold, as a file.

    name = "entities"                     # by default that of the file
    after = "entities"                    # the step it is checked after
    reads = "entities_wide"               # a table or view; or sql = "select ..."

    [[expect]]                            # as Great Expectations names it, with its arguments
    type = "expect_column_values_to_be_between"
    column = "width"
    min_value = 8
    mostly = 0.99                         # of the rows that have a width
    blocks = false                        # told, and stops nothing; by default datasets wait until it holds

The types and their arguments are those of Great Expectations 1.24.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time
from pathlib import Path
from typing import Any

from lakehouse.engines.gate import check_query
from lakehouse.engines.protocol import Expectation
from lakehouse.errors import ConfigError
from lakehouse.names import nearest
from lakehouse.typed import fill, read_toml
from lakehouse.views.behind import tables_of
from lakehouse.views.registry import VIEW_NAMES
from schemas.canonical import content_id
from schemas.tables import BY_NAME

STEPS = ("land", "entities", "dimensions", "opinions", "build", "materialise")
"""Steps that a suite can follow."""

REFUSED = {
    # Programs: pandas would run them as Python, Spark as SQL.
    **dict.fromkeys(("row_condition", "condition_parser"), "say which rows are meant with `sql`, above"),
    "severity": "write `blocks = false` for what stops nothing",
    **dict.fromkeys(("meta", "id", "batch_id", "result_format", "catch_exceptions"), "it says nothing of the rows"),
}
"""Arguments of the library that are not taken, and what to do."""

COLUMN_ARGUMENTS = ("column", "column_A", "column_B", "column_list", "column_set")
"""Arguments that name columns."""

BLOCKS = "blocks"


@dataclass(frozen=True, slots=True)
class Suite:
    """What rows are expected to hold.

    Attributes:
        name: Its name.
        after: The step it is checked after.
        sql: The query whose rows are checked.
        reads: The table or view it was stated by, else the query.
        expectations: In the order of the file.
        blocks: Of each: whether datasets wait until it holds.
    """

    name: str
    after: str
    sql: str
    reads: str
    expectations: tuple[Expectation, ...]
    blocks: tuple[bool, ...]

    @property
    def columns(self) -> frozenset[str] | None:
        """Names of the columns that are looked at; None: all, as an expectation of the table's columns looks at."""
        if any(each.type.startswith("expect_table_column") for each in self.expectations):
            return None
        stated = (each.arguments.get(name) for each in self.expectations for name in COLUMN_ARGUMENTS)
        texts = (each if isinstance(each, list) else [each] for each in stated if each is not None)
        return frozenset(str(name) for names in texts for name in names)

    def suite_hash(self) -> str:
        """Return the content id of what it says, wherever it stands."""
        stated = [
            {"type": each.type, "arguments": dict(each.arguments), "blocks": blocks}
            for each, blocks in zip(self.expectations, self.blocks, strict=True)
        ]
        return content_id({"name": self.name, "after": self.after, "sql": self.sql, "expect": stated})


@dataclass(frozen=True, slots=True)
class _Head:
    """What stands above the expectations of a file."""

    after: str
    name: str = ""
    reads: str = ""
    sql: str = ""


def load_suite(path: str | Path) -> Suite:
    """Read the file of one suite.

    Raises:
        ConfigError: If the file, a key, a step, a view or an argument is unknown or of the wrong type.
        QueryRefusedError: If `sql` is not one read-only query over tables and views.
    """
    path = Path(path)
    content = read_toml(path)
    entries = content.pop("expect", [])
    head = fill(_Head, content, where=str(path))
    if head.after not in STEPS:
        raise ConfigError(f"{path}: after: no step `{head.after}`{nearest(head.after, STEPS)}; known: {list(STEPS)}")
    if bool(head.reads) == bool(head.sql):
        raise ConfigError(f"{path}: state one of `reads` (a table or view) and `sql` (a query)")
    if not isinstance(entries, list) or not entries or not all(isinstance(each, Mapping) for each in entries):
        raise ConfigError(f"{path}: write [[expect]], once for every expectation, at least once")
    if head.reads:
        known = [*BY_NAME, *VIEW_NAMES]
        if head.reads not in known:
            raise ConfigError(f"{path}: reads: no table or view `{head.reads}`{nearest(head.reads, known)}")
    else:
        check_query(head.sql, known={*BY_NAME, *VIEW_NAMES})
        if not tables_of(head.sql):
            raise ConfigError(f"{path}: sql: reads no table or view, so that it could stop no dataset")
    found = [_expectation(entry, number, f"{path}: [[expect]] {number}") for number, entry in enumerate(entries, 1)]
    return Suite(
        name=head.name or path.stem,
        after=head.after,
        sql=head.sql or f"select * from {head.reads}",
        reads=head.reads or head.sql,
        expectations=tuple(each for each, _ in found),
        blocks=tuple(blocks for _, blocks in found),
    )


def load_suites(place: str | Path) -> tuple[Suite, ...]:
    """Read one file, or all `.toml` files of a folder, by name.

    Raises:
        ConfigError: As `load_suite`; also if the folder has none, or two suites have one name.
    """
    place = Path(place)
    paths = sorted(place.glob("*.toml")) if place.is_dir() else [place]
    if not paths:
        raise ConfigError(f"{place}: no quality suite in this folder; expected files *.toml, see conf/quality")
    found = [load_suite(path) for path in paths]
    names = [each.name for each in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"{place}: two suites are called {twice[0]}; give each its own `name`")
    return tuple(found)


def _expectation(entry: Mapping[str, Any], place: int, where: str) -> tuple[Expectation, bool]:
    arguments = dict(entry)
    kind, blocks = arguments.pop("type", None), arguments.pop(BLOCKS, True)
    if not isinstance(kind, str) or not kind.startswith("expect_"):
        raise ConfigError(f"{where}: type: expected a name as `expect_column_values_to_not_be_null`, found {kind!r}")
    if not isinstance(blocks, bool):
        raise ConfigError(f"{where}: {BLOCKS}: expected true or false, found {blocks!r}")
    for refused in REFUSED:
        if refused in arguments:
            raise ConfigError(f"{where}: {refused} is not taken; {REFUSED[refused]}")
    for name, value in arguments.items():
        _check_argument(value, f"{where}: {name}")
    return Expectation(place, kind, arguments, where), blocks


def _check_argument(value: object, where: str) -> None:
    """Refuse what another run would understand otherwise, and what no table can hold."""
    if isinstance(value, Mapping):
        for name, each in value.items():
            if str(name).startswith("$"):
                raise ConfigError(f"{where}: {name} is computed anew in every run; write the value itself")
            _check_argument(each, where)
    elif isinstance(value, list):
        for each in value:
            _check_argument(each, where)
    elif isinstance(value, date | time):
        raise ConfigError(
            f'{where}: write the time as a text with its offset, as "2026-05-01T00:00:00Z"; found {value}'
        )
    elif isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{where}: expected a finite number, found {value}; leave out a limit that there is not")
