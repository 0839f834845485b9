"""Every connection to DuckDB that the library opens has a limit of memory, and the one that was asked for."""

from __future__ import annotations

from lakehouse.config import EngineConfig
from lakehouse.engines import open_engine
from lakehouse.sql import connect

LIMIT = "select value from duckdb_settings() where name = 'memory_limit'"


def test_a_connection_of_ones_own_has_the_limit_that_was_asked_for(lake):
    with connect(lake.root, memory_limit_mb=500) as limited, connect(lake.root) as unlimited:
        assert limited.execute(LIMIT).fetchone() == ("476.8 MiB",)
        assert "GiB" in unlimited.execute(LIMIT).fetchone()[0]


def test_the_embedded_engine_has_the_limit_of_its_settings(tmp_path):
    engine = open_engine("embedded", config=EngineConfig(workers=1, memory_limit_mb=500), scratch=tmp_path / "scratch")
    try:
        assert engine.arrow(engine.sql(LIMIT, {}, {}))["value"].to_pylist() == ["476.8 MiB"]
    finally:
        engine.close()
