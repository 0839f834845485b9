"""What a test leaves behind: only what came since it began.

Counts are no measure of it: what earlier tests of the same process left to be closed, a connection or a thread, may go
at any moment, and hides as many as it was.
"""

from __future__ import annotations

import os
import threading


def descriptors() -> set[tuple[int, int, int]]:
    """Return the open descriptors of this process on Linux, each as number, device and inode."""
    found = set()
    for number in map(int, os.listdir("/proc/self/fd")):
        try:
            status = os.fstat(number)
        except OSError:
            continue  # the one that listed them, or one that another thread closed meanwhile
        found.add((number, status.st_dev, status.st_ino))
    return found


def threads() -> set[threading.Thread]:
    """Return the threads that run now."""
    return set(threading.enumerate())
