"""`ProcessPool`: says that a reader is to use processes, and how many."""

from __future__ import annotations

from dataclasses import dataclass

from loaders.petastorm.workers_pool import check_workers


@dataclass(frozen=True)
class ProcessPool:
    """A reader given this reads and decodes in processes of its own; the pool itself starts none.

    Attributes:
        workers_count: Processes, at least 1.
        serializer: Without effect: rows travel as JSON and bytes.
        zmq_copy_buffers: Without effect.
    """

    workers_count: int
    serializer: object = None
    zmq_copy_buffers: bool = True

    def __post_init__(self) -> None:
        check_workers(self.workers_count)
