"""`ThreadPool`: says that a reader is to use threads, and how many."""

from __future__ import annotations

from dataclasses import dataclass

from loaders.petastorm.workers_pool import check_workers


@dataclass(frozen=True)
class ThreadPool:
    """A reader given this reads and decodes in threads of its own; the pool itself starts none.

    Attributes:
        workers_count: Threads, at least 1.
        results_queue_size: Without effect: what is made ahead is bounded by its bytes.
        profiling_enabled: Without effect.
        shuffle_rows: Without effect; the reader's own argument counts.
        seed: Without effect; the reader's own argument counts.
    """

    workers_count: int
    results_queue_size: int = 50
    profiling_enabled: bool = False
    shuffle_rows: bool = False
    seed: object = None

    def __post_init__(self) -> None:
        check_workers(self.workers_count)
