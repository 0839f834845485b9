"""A lake in which every table has rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakehouse.tables.insert import insert
from tests.making import small_lake
from tests.tables.making import TABLES, arrow_rows


@pytest.fixture(scope="module")
def full_lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a lake with three rows in every table; its name has characters that paths get wrong."""
    root = tmp_path_factory.mktemp("full") / "a lake é 'q'"
    with small_lake(root) as lake:
        for table in TABLES:
            insert(lake, table, lake.engine.from_arrow(arrow_rows(table)), step="test")
    return root
