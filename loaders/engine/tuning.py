"""How many threads make batches: chosen by what they get done, with the reason in words."""

from __future__ import annotations

from dataclasses import dataclass

_IDLE_SHARE = 0.05
"""A caller that waits for less of the time than this has nothing to gain from other numbers."""

_STARVED = 1.6
"""Threads that take this many times their processor time wait for one another, or for other programs."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What was seen over a while.

    Attributes:
        workers: Threads that made batches.
        most: Threads there may be: the cores of this process, fewer once more were found to be of no use.
        worked_s: Seconds that they were at it, all together.
        cpu_s: Processor seconds that they got, all together.
        transform_share: Part of `worked_s` in the caller's transform.
        elapsed_s: Seconds that passed.
        waited_s: Seconds in which the caller waited.
    """

    workers: int
    most: int
    worked_s: float
    cpu_s: float
    transform_share: float
    elapsed_s: float
    waited_s: float


def choose(seen: Observed) -> tuple[int, str]:
    """Return how many threads to go on with, and why."""
    waits = seen.waited_s / max(seen.elapsed_s, 1e-9)
    told = f"the caller waits {waits:.0%} of the time"
    if waits < _IDLE_SHARE:
        return seen.workers, f"{seen.workers} threads keep up: {told}"
    busy = seen.worked_s / max(seen.elapsed_s, 1e-9)
    if busy < 0.5 * seen.workers:
        return seen.workers, f"{seen.workers} threads are idle half of the time, waiting for storage: {told}"
    stretched = seen.worked_s / max(seen.cpu_s, 1e-9)
    if stretched > _STARVED and seen.workers > 1:
        got = f"{seen.workers} threads got {seen.cpu_s / seen.elapsed_s:.1f} cores' worth of work done"
        if seen.transform_share > 0.5:
            fewer = min(seen.workers, max(1, round(seen.cpu_s / max(seen.elapsed_s, 1e-9))))
            return fewer, f"{fewer} threads: {got}, the transform holds the GIL; see pool='processes'"
        return seen.workers, f"{got}: other programs take the cores"
    if seen.workers < seen.most:
        return seen.workers + 1, f"{seen.workers + 1} threads: {told}, and a core is free"
    return seen.workers, f"{seen.workers} threads, no core is free: {told}"
