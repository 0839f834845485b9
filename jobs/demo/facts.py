"""What a lake holds, asked in SQL: the numbers of the demo's report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lakehouse.sql.session import connect
from schemas.tables import TABLES


@dataclass(frozen=True, slots=True)
class Contents:
    """What a lake holds at one moment.

    Attributes:
        rows: Table -> rows.
        objects: Files in the object store.
        dataset_ids: Every dataset version.
    """

    rows: Mapping[str, int]
    objects: int
    dataset_ids: frozenset[str]


NOTHING = Contents({}, 0, frozenset())


def contents_of(lake_folder: Path) -> Contents:
    """Return what a lake holds; nothing if there is none yet."""
    if not (lake_folder / "tables").is_dir():
        return NOTHING
    with connect(lake_folder) as connection:
        rows = {}
        for table in TABLES:
            rows[table.name] = int(connection.execute(f"select count(*) from {table.name}").fetchall()[0][0])
        ids = connection.execute("select dataset_id from gold.datasets").fetchall()
    objects = sum(1 for path in (lake_folder / "objects").glob("??/*") if path.is_file())
    return Contents(rows, objects, frozenset(row[0] for row in ids))


def ask(lake_folder: Path, text: str, params: Mapping[str, object] | None = None) -> list[dict[str, Any]]:
    """Return the rows of a query over a lake."""
    with connect(lake_folder) as connection:
        return connection.execute(text, dict(params or {})).to_arrow_table().to_pylist()  # type: ignore[no-any-return]
