"""A bar for a person at a terminal, one log line for everybody else."""

from __future__ import annotations

import logging
import shutil
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
    bar = tqdm(total=total, desc=label, unit=f" {unit}", disable=not sys.stderr.isatty(), leave=False, ncols=_columns())
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


def _columns() -> int | None:
    # Some terminals (those of containers and editors) say 0 columns; tqdm then draws nothing at all.
    return None if shutil.get_terminal_size((0, 0)).columns or not sys.stderr.isatty() else 80
