"""Ending a program at once when it is told to, wherever its code is: one line, no child left, no traceback.

Nothing is unwound: an exception would have to come through DuckDB, delta-rs, Arrow and worker processes, each of which
turns it into something else or returns only when its call is done. It need not be: whatever kills a step, nothing that
was committed is lost and nothing half-done is visible.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

SIGNALS = {
    signal.SIGINT: "interrupted", signal.SIGTERM: "ended by SIGTERM",
    signal.SIGHUP: "ended by SIGHUP: its terminal closed",
}
GOES_ON = "what was committed stays, run the same command again to go on"

_folders: set[Path] = set()


@dataclass(slots=True)
class _Stop:
    """A program that stops by itself at the first signal: who has met that already."""

    event: threading.Event = field(default_factory=threading.Event)
    is_heard: bool = False
    is_handled: bool = False


_stop: _Stop | None = None


@contextlib.contextmanager
def removed_at_end(folder: Path) -> Iterator[None]:
    """Have a folder of temporary files removed also where a signal ends the program inside the block."""
    _folders.add(folder)
    try:
        yield
    finally:
        _folders.discard(folder)


def end_on_signals(program: str) -> None:
    """Let SIGINT, SIGTERM and SIGHUP end this process at once, with exit code 128 + signal; call it in the main thread.

    A signal that is ignored (nohup, a job in the background of a script) stays ignored. A second call does nothing.

    Args:
        program: Name that the one line on stderr begins with.
    """
    defaults = (signal.SIG_DFL, signal.default_int_handler)
    taken = [number for number in SIGNALS if signal.getsignal(number) in defaults]
    if not taken:
        return
    reading, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    os.set_blocking(reading, True)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    # A handler of Python's runs when the main thread comes back from its call; another thread need not wait for that.
    threading.Thread(target=_end_when_told, args=(program, reading, taken), name="petrel-ending", daemon=True).start()
    for number in taken:
        signal.signal(number, _stand_still)
    # Python's helper process removes the semaphores of a pool that ended so, and would tell of it. It takes over this.
    sys.warnoptions.append("ignore:resource_tracker")


def stop_when_told() -> threading.Event:
    """Return what the next signal sets, in place of ending this process: it stops where that is convenient.

    A further one ends it as everywhere. Without `end_on_signals` nobody sets it.
    """
    global _stop
    _stop = _Stop()
    return _stop.event


@contextlib.contextmanager
def signals_held(*numbers: signal.Signals) -> Iterator[None]:
    """Block signals in this thread, and in what is started inside the block for as long as that lives."""
    held = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)


def _stand_still(*_: object) -> None:
    if _stop is not None and not _stop.is_handled:
        # The other thread sets the event: this one may be inside it.
        _stop.is_handled = True
        return
    # The main thread would go on, meet the end of its workers and tell of it.
    threading.Event().wait()


def _end_when_told(program: str, reading: int, taken: Sequence[int]) -> NoReturn:
    number = -1
    while number not in taken:
        # Other handlers of Python's report here too.
        number = os.read(reading, 1)[0]
        if number in taken and _stop is not None and not _stop.is_heard:
            _stop.is_heard = True
            with contextlib.suppress(OSError):
                os.write(2, f"{program}: stops after what is under way; once more ends it at once\n".encode())
            _stop.event.set()
            number = -1
    # A progress bar may stand on the line.
    bar = "\r\x1b[K" if sys.stderr is not None and sys.stderr.isatty() else ""
    with contextlib.suppress(OSError):
        os.write(2, f"{bar}{program}: {SIGNALS[signal.Signals(number)]}; {GOES_ON}\n".encode())
    for child in _children():
        with contextlib.suppress(OSError):
            os.kill(child, signal.SIGTERM)
    for folder in list(_folders):
        shutil.rmtree(folder, ignore_errors=True)
    os._exit(128 + number)


def _children() -> list[int]:
    found: list[int] = []
    for path in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += map(int, path.read_text().split())
    return found
