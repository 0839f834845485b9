"""`DummyPool`: says that a reader is to work in the thread that asks for rows."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class DummyPool:
    """A reader given this does everything inside `next`, where a profiler and a debugger see it.

    Attributes:
        workers: Without effect; other pools take a number here.
        workers_count: 1.
    """

    workers: object = None
    workers_count: int = field(default=1, init=False)
