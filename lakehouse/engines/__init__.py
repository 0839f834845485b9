"""Two engines behind one protocol; everything above touches neither DuckDB relations nor Spark frames."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lakehouse.config import EngineConfig
from lakehouse.engines.protocol import Commit, Engine, Relation
from lakehouse.errors import ConfigError
from lakehouse.home import Home

ENGINES = ("embedded", "spark")
DRIVER_MEMORY_MB = 2048
"""Memory of DuckDB in the driver of Spark, where no limit is set."""


def open_engine(name: str, *, config: EngineConfig, scratch: Path, home: Home | None = None) -> Engine:
    """Start an engine.

    Args:
        name: `embedded` (DuckDB, delta-rs and a process pool; no JVM) or `spark`.
        config: Workers, memory and patience.
        scratch: Folder for staged results; the caller removes it afterwards.
        home: The lake: where it is in a bucket, that is what a Spark cluster and its driver have in common.

    Raises:
        ConfigError: If there is no engine of that name.
        EnvironmentProblemError: If Spark is asked for and Java, pyspark or the jars are missing.
    """
    if name == "embedded":
        return _embedded(config, scratch, home)
    if name == "spark":
        from lakehouse.engines.driver import DriverFirstEngine
        from lakehouse.engines.spark import SparkEngine

        cluster = SparkEngine(scratch=scratch, home=home)
        if not config.driver_mb:
            return cluster
        # The JVM has its share of the machine; what comes here is small.
        beside = replace(config, memory_limit_mb=config.memory_limit_mb or DRIVER_MEMORY_MB)
        driver = _embedded(beside, scratch / "driver", home)
        return DriverFirstEngine(driver, cluster, limit=config.driver_mb << 20, is_far=cluster.is_far)
    raise ConfigError(f"unknown engine `{name}`; known: {', '.join(ENGINES)}")


def warm(name: str, config: EngineConfig) -> None:
    """Start what takes long to start, and wait for nothing: worth it only where an engine is sure to have work."""
    if name == "embedded":
        from lakehouse.engines.pool import BatchPool

        BatchPool(config.workers).warm()


def _embedded(config: EngineConfig, scratch: Path, home: Home | None) -> Engine:
    from lakehouse.engines.pool import BatchPool

    # First the processes, then our own imports: what workers need is loaded meanwhile on another core.
    pool = BatchPool(config.workers)
    pool.warm()
    from lakehouse.engines.embedded import EmbeddedEngine

    return EmbeddedEngine(config=config, scratch=scratch, pool=pool, home=home)


__all__ = ["ENGINES", "Commit", "Engine", "Relation", "open_engine", "warm"]
