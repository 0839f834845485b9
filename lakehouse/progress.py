"""A bar for a person at a terminal, one log line for everybody else."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

logger = logging.getLogger(__name__)


@contextmanager
def progress(label: str, *, total: int | None, unit: str) -> Iterator[Callable[[int], None]]:
    """Show how far long work has come.

    Args:
        label: What is being done.
        total: How many units there are; None if that is not known.
        unit: What is counted.

    Yields:
        A function to call with the number of units done since the last call.
    """
    from tqdm import tqdm

    started = time.monotonic()
    # stderr, so that a bar never mixes with what a command prints; none at all where nobody watches.
    watched = sys.stderr.isatty()
    bar = tqdm(total=total, desc=label, unit=f" {unit}", disable=not watched, leave=False, **_size())
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        bar.update(count)

    try:
        yield advance
    finally:
        bar.close()
        logger.info("%s done=%d unit=%s seconds=%.2f", label, done, unit, time.monotonic() - started)


def _size() -> dict[str, int]:
    # Some terminals (those of containers and editors) say that they have no columns; tqdm then draws nothing at all.
    try:
        return {} if os.get_terminal_size(sys.stderr.fileno()).columns else {"ncols": 80, "nrows": 24}
    except (OSError, ValueError):
        return {}
