"""Two engines behind one protocol; everything above touches neither DuckDB relations nor Spark frames."""

from __future__ import annotations

from pathlib import Path

from lakehouse.config import EngineConfig
from lakehouse.engines.protocol import Commit, Engine, Relation
from lakehouse.errors import ConfigError

ENGINES = ("embedded", "spark")


def open_engine(name: str, *, config: EngineConfig, scratch: Path) -> Engine:
    """Start an engine.

    Args:
        name: `embedded` (DuckDB, delta-rs and a process pool; no JVM) or `spark`.
        config: Workers, memory and patience.
        scratch: Folder for staged results; the caller removes it afterwards.

    Raises:
        ConfigError: If there is no engine of that name.
        EnvironmentProblemError: If Spark is asked for and Java, pyspark or the jars are missing.
    """
    if name == "embedded":
        from lakehouse.engines.pool import BatchPool

        # First the processes, then our own imports: what workers need is loaded meanwhile on another core.
        pool = BatchPool(config.workers)
        pool.warm()
        from lakehouse.engines.embedded import EmbeddedEngine

        return EmbeddedEngine(config=config, scratch=scratch, pool=pool)
    if name == "spark":
        from lakehouse.engines.spark import SparkEngine

        return SparkEngine(scratch=scratch)
    raise ConfigError(f"unknown engine `{name}`; known: {', '.join(ENGINES)}")


__all__ = ["ENGINES", "Commit", "Engine", "Relation", "open_engine"]
