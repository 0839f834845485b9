"""Names of the pools a `Reader` takes, and the errors that Petastorm's pools raise."""

from __future__ import annotations


class EmptyResultError(RuntimeError):
    """There is nothing more to come."""


class TimeoutWaitingForResultError(RuntimeError):
    """Nothing came in time."""


def check_workers(workers_count: object) -> int:
    """Return the number of workers.

    Raises:
        ValueError: If it is no positive integer.
    """
    if not isinstance(workers_count, int) or isinstance(workers_count, bool) or workers_count < 1:
        raise ValueError(f"workers_count must be a positive integer, found {workers_count!r}")
    return workers_count
