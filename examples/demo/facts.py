"""What a lake holds, asked in SQL: the numbers of the demo's report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from examples.demo.steps import config_for
from lakehouse.home import Home
from lakehouse.place import find_home, is_lake
from lakehouse.sql.session import connect
from schemas.tables import TABLES


@dataclass(frozen=True, slots=True)
class Contents:
    """What a lake holds at one moment.

    Attributes:
        rows: Table -> rows.
        objects: Files in the object store.
    """

    rows: Mapping[str, int]
    objects: int


NOTHING = Contents({}, 0)


class Facts:
    """Questions to one lake as it is now, over one connection."""

    def __init__(self, lake: Home, connection: Any) -> None:
        self.lake = lake
        self._connection = connection

    def ask(self, text: str, **params: object) -> list[dict[str, Any]]:
        """Return the rows of a query; `$name` in it stands for a parameter."""
        found: list[dict[str, Any]] = self._connection.execute(text, params).to_arrow_table().to_pylist()
        return found

    def contents(self) -> Contents:
        """Return what the lake holds."""
        names = [table.name for table in TABLES]
        counts = " union all ".join(f"select '{name}' as name, count(*) as n from {name}" for name in names)
        objects = sum(1 for _ in self.lake.files.list("objects"))
        return Contents({row["name"]: row["n"] for row in self.ask(counts)}, objects)


@contextmanager
def facts_of(lake: str | Path) -> Iterator[Facts]:
    """Open a lake for questions; what is written later is not seen."""
    home = find_home(config_for(lake))
    with connect(home) as connection:
        yield Facts(home, connection)


def contents_of(lake: str | Path) -> Contents:
    """Return what a lake holds; nothing if there is none yet."""
    if not is_lake(find_home(config_for(lake))):
        return NOTHING
    with facts_of(lake) as facts:
        return facts.contents()
