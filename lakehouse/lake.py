"""A lake: one folder or prefix with objects, tables, datasets and receipts, and the engine that works on it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from lakehouse.config import Config
from lakehouse.engines import Engine, open_engine
from lakehouse.home import Home
from loaders.stores.storage import Storage

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The default clock: now, UTC, whole microseconds."""
    return datetime.now(UTC)


class Lake:
    """An open lake. Verbs are functions that take it first; some are methods of what `open_lake` gives (`opened.py`).

    Attributes:
        home: Where the lake is.
        root: Folder in which this machine reads its tables, absolute: the lake's own, or the copy of one in a bucket.
        config: All settings.
        engine_name: `embedded` or `spark`.
        clock: Where time comes from; give another one to repeat a run exactly.
        scratch: Folder for temporary files of this process, on the lake's own file system.
        verified: Table and version whose files were compared with the log since the lake was opened.
        scanned: Table and version that queries of the running step have read.
    """

    def __init__(self, config: Config, *, home: Home, engine: str, clock: Clock, scratch: Path) -> None:
        self.config = config
        self.engine_name = engine
        self.clock = clock
        self.home = home
        self.root = home.folder
        self.scratch = scratch
        self.verified: set[tuple[str, int]] = set()
        self.scanned: set[tuple[str, int]] = set()
        self._engine: Engine | None = None

    def on(self, home: Home) -> Lake:
        """Return the same lake on another line of it, with this one's engine; it is closed with this one."""
        other = Lake(self.config, home=home, engine=self.engine_name, clock=self.clock, scratch=self.scratch)
        other._engine = self.engine
        return other

    def beside(self) -> Lake:
        """Return the same lake with an embedded engine of its own: for another thread, which closes it."""
        scratch = self.scratch / f"beside-{uuid.uuid4().hex}"
        return Lake(self.config, home=self.home, engine="embedded", clock=self.clock, scratch=scratch)

    @property
    def engine(self) -> Engine:
        """The engine, started at its first use: a step with nothing to do need not start one."""
        if self._engine is None:
            self._engine = open_engine(
                self.engine_name, config=self.config.engine, scratch=self.scratch, home=self.home
            )
        return self._engine

    @property
    def files(self) -> Storage:
        """All files of the lake, by their names below it."""
        return self.home.files

    @property
    def runs(self) -> Path:
        """Folder of what this machine has noted of its runs."""
        return self.root / "_runs"

    @property
    def locks(self) -> Path:
        """Folder of the lock files of this machine; branches have them in common with the lake."""
        return self.home.shared.folder / "_locks"

    @property
    def datasets(self) -> Path:
        """Folder of the materialised datasets."""
        return self.home.shared.folder / "datasets"

    def close(self) -> None:
        """Stop the engine."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None


@contextmanager
def scans(lake: Lake) -> Iterator[set[tuple[str, int]]]:
    """Collect what queries of the block read; of a block within a block, it is the outer one's too."""
    outer, lake.scanned = lake.scanned, set()
    try:
        yield lake.scanned
    finally:
        outer |= lake.scanned
        lake.scanned = outer
