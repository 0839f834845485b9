"""What goes wrong in the tests of faults: transforms that each worker process imports, and what is left behind."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Fault:
    """A transform that is harmless but for the batch that holds a certain row.

    Attributes:
        kind: What it does then.
        row: The row.
        once: A file: with it the fault comes only once, whoever runs it.
    """

    kind: str
    row: int
    once: str | None = None

    def __call__(self, batch):
        if self.row in batch["number"].tolist() and self._is_due():
            act(self.kind)
        return batch

    def _is_due(self):
        if self.once is None:
            return True
        try:
            os.close(os.open(self.once, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return False
        return True


def act(kind):
    """Do what goes wrong."""
    if kind == "raise":
        raise ValueError("no such thing")
    if kind == "exit 0":
        os._exit(0)
    if kind == "system exit":
        raise SystemExit(0)
    if kind == "memory":
        bytearray(1 << 40)
    if kind == "loop":
        while True:
            pass
    if kind == "sleep":
        time.sleep(1000)
    if kind in ("SIGKILL", "SIGSTOP", "SIGSEGV"):
        os.kill(os.getpid(), getattr(signal, kind))


@dataclass(frozen=True)
class SlowUntilOthers:
    """A transform that is done with the batch of one row only when `others` batches beside it are done."""

    row: int
    others: int
    folder: str  # one empty file for each batch that is done

    def __call__(self, batch):
        """Note the batch, or wait for the others."""
        rows = batch["number"].tolist()
        if self.row not in rows:
            (Path(self.folder) / str(rows[0])).touch()
            return batch
        end = time.monotonic() + 60
        while len(os.listdir(self.folder)) < self.others:
            if time.monotonic() > end:
                raise TimeoutError(f"{self.others} other batches were not made while this one was waited for")
            time.sleep(0.01)
        return batch


@dataclass(frozen=True)
class Left:
    """What a process holds: threads of ours, descriptors, children, shared and other memory that is mapped."""

    threads: int
    files: tuple[str, ...]
    children: int
    maps: int

    @classmethod
    def now(cls) -> Left:
        """Count."""
        gc.collect()
        threads = sum(thread.name.startswith("petrel") for thread in threading.enumerate())
        files = []
        for name in os.listdir("/proc/self/fd"):
            try:
                files.append(os.readlink(f"/proc/self/fd/{name}"))
            except OSError:  # that of the listing
                continue
        ours = sorted(name for name in files if "petrel" in name or ".parquet" in name or "socket" in name)
        tasks = Path("/proc/self/task").iterdir()
        children = sum(len((task / "children").read_text().split()) for task in tasks)
        maps = sum("petrel" in line for line in Path("/proc/self/maps").read_text().splitlines())
        return cls(threads, tuple(ours), children, maps)


def settled(before: Left, *, within_s: float = 2.0) -> Left:
    """Return what is left once it is as before, or after `within_s`."""
    until = time.monotonic() + within_s
    while (now := Left.now()) != before and time.monotonic() < until:
        time.sleep(0.02)
    return now
