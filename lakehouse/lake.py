"""A lake: one folder with objects, tables, datasets and receipts, and the engine that works on it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from lakehouse.config import Config
from lakehouse.engines import Engine, open_engine
from lakehouse.place import lake_root

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The default clock: now, UTC, whole microseconds."""
    return datetime.now(UTC)


class Lake:
    """An open lake. Verbs are functions that take it first; some are methods of what `open_lake` gives (`opened.py`).

    Attributes:
        root: Folder of the lake, absolute.
        config: All settings.
        engine_name: `embedded` or `spark`.
        clock: Where time comes from; give another one to repeat a run exactly.
        scratch: Folder for temporary files of this process, on the lake's own file system.
        verified: Table and version whose files were compared with the log since the lake was opened.
    """

    def __init__(self, config: Config, *, engine: str, clock: Clock, scratch: Path) -> None:
        self.config = config
        self.engine_name = engine
        self.clock = clock
        self.root = lake_root(config.lake.root)
        self.scratch = scratch
        self.verified: set[tuple[str, int]] = set()
        self._engine: Engine | None = None

    @property
    def engine(self) -> Engine:
        """The engine, started at its first use: a step with nothing to do need not start one."""
        if self._engine is None:
            self._engine = open_engine(self.engine_name, config=self.config.engine, scratch=self.scratch)
        return self._engine

    @property
    def runs(self) -> Path:
        """Folder of the receipts."""
        return self.root / "_runs"

    @property
    def locks(self) -> Path:
        """Folder of the lock files."""
        return self.root / "_locks"

    @property
    def datasets(self) -> Path:
        """Folder of the materialised datasets."""
        return self.root / "datasets"

    def close(self) -> None:
        """Stop the engine."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None
