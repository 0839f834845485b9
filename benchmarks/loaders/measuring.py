"""Processor time and memory of a process and all that it started, from /proc; nothing to install in any environment.

Memory is told in two ways, in MB (10**6 bytes):
    rss     sum of the resident sizes: pages that processes share count for each, mapped files count
    own     proportional share of anonymous and shared memory: what would not be there without these processes; pages
            of mapped files, which the kernel may drop, do not count
"""

from __future__ import annotations

import os
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


def tree(pid: int) -> list[int]:
    """Return `pid` and all its living descendants."""
    parents: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            stat = _stat(int(entry))
            if stat:
                parents.setdefault(int(stat[1]), []).append(int(entry))
    found, todo = [], [pid]
    while todo:
        found.append(todo.pop())
        todo += parents.get(found[-1], [])
    return found


def cpu_seconds(pid: int) -> float:
    """Return user and system seconds of the process, its living descendants and those that it waited for."""
    own = os.times() if pid == os.getpid() else None
    total = 0.0
    for each in tree(pid):
        stat = _stat(each)
        if stat and own and each == pid:
            total += sum(own[:4])
        elif stat:
            total += sum(int(ticks) for ticks in stat[11:15]) / _TICK
    return total


def memory_mb(pid: int) -> tuple[float, float]:
    """Return (rss, own) of the process and its living descendants."""
    rss = own = 0
    for each in tree(pid):
        for line in _read(f"/proc/{each}/smaps_rollup").splitlines():
            name, _, value = line.partition(":")
            if name == "Rss":
                rss += int(value.split()[0])
            elif name in ("Pss_Anon", "Pss_Shmem"):
                own += int(value.split()[0])
    return rss * 1024 / 1e6, own * 1024 / 1e6


def _stat(pid: int) -> list[str] | None:
    """Fields of /proc/<pid>/stat after the name: [0] state, [1] parent, [11:15] user and system ticks."""
    text = _read(f"/proc/{pid}/stat")
    return text.rpartition(")")[2].split() or None


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:  # it ended meanwhile
        return ""
