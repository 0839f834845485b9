"""What a step tells of itself while it runs, where the configuration names a place for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lakehouse.errors import one_line
from lakehouse.lake import Lake
from lakehouse.lineage.events import Run, event
from lakehouse.lineage.sending import send
from lakehouse.tables.inserted import Inserted
from loaders.stores.saying import without_secrets


@dataclass(frozen=True, slots=True)
class Teller:
    """Tells of one run; each method returns why nothing was sent, "" if it was, or nobody asks for it."""

    lake: Lake
    run: Run

    def started(self, reads: Iterable[tuple[str, int]]) -> str:
        """Tell that it began, and what it is going to read as far as that is known."""
        return self._tell("START", reads=reads)

    def completed(
        self, reads: Iterable[tuple[str, int]], writes: Sequence[Inserted], folders: Iterable[str]
    ) -> str:
        """Tell that it ended well, what it had read and what it wrote."""
        return self._tell("COMPLETE", reads=reads, writes=writes, folders=folders)

    def failed(self, reads: Iterable[tuple[str, int]], error: BaseException) -> str:
        """Tell that it failed, or that somebody stopped it."""
        problem = without_secrets(one_line(f"{type(error).__name__}: {error}"))
        return self._tell("FAIL" if isinstance(error, Exception) else "ABORT", reads=reads, problem=problem)

    def _tell(
        self, kind: str, *, reads: Iterable[tuple[str, int]], writes: Sequence[Inserted] = (),
        folders: Iterable[str] = (), problem: str = "",
    ) -> str:  # fmt: skip
        settings = self.lake.config.lineage
        if not settings.openlineage:
            return ""
        told = event(self.run, kind, self.lake.clock(), reads=reads, writes=writes, folders=folders, problem=problem)
        return send(settings.openlineage, told, timeout_s=settings.timeout_s)


def teller(lake: Lake, step: str, run_id: str) -> Teller:
    """Return who tells of a run."""
    run = Run(run_id, step, lake.engine_name, lake.config.lineage.namespace, str(lake.home.address))
    return Teller(lake, run)
