"""What every reader is around its batches: one lock, one process, and one end, however it comes."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import ClassVar, Protocol, Self, TypeVar

T = TypeVar("T")


class Workers(Protocol):
    """What works for a reader, in threads or processes."""

    def close(self, *, patience_s: float) -> None:
        """End; wait so long for those that are in the middle of something."""


class ReaderShell(Iterator[T]):
    """An iterator with workers of its own, which end when it is closed or forgotten, and with the interpreter.

    Several threads may use it, each with `_lock`; a process that was forked, and another that it is sent to, may not.
    """

    _CLOSED: ClassVar[str]
    _IF_FORKED: ClassVar[str] = ""
    _INSTEAD_OF_SENDING: ClassVar[str]

    def __init__(self, close_files: Callable[[], None]) -> None:
        """Take what is open already: `close_files` closes it, last of all and once."""
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._is_closed = False
        self._close_files = close_files
        self._end: weakref.finalize[..., ReaderShell[T]] = weakref.finalize(self, close_files)

    def __iter__(self) -> Self:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getstate__(self) -> object:
        raise TypeError(
            "a Reader has workers of its own and does not travel between processes; " + self._INSTEAD_OF_SENDING
        )

    def close(self) -> None:
        """End the workers, and close the files."""
        raise NotImplementedError

    def _end_with(self, workers: Workers) -> None:
        """Have workers end before the files are closed, where nobody closes the reader."""
        self._end.detach()
        self._end = weakref.finalize(self, _close, workers, self._close_files)

    def _check_usable(self) -> None:
        if self._is_closed:
            raise RuntimeError(self._CLOSED)
        if os.getpid() != self._pid:
            raise RuntimeError(
                "this reader was made before a fork, and threads do not survive one; make it in the process that reads"
                + self._IF_FORKED
            )


def _close(workers: Workers, close_files: Callable[[], None]) -> None:
    # At exit too: a daemon thread that comes back from C code into an interpreter that ends takes the process with it.
    workers.close(patience_s=0.5)
    close_files()
