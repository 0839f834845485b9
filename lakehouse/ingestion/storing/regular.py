"""Opening a file of this machine to land it: a regular one, not through a link, and the same at the end."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from lakehouse.errors import RejectedInputError
from lakehouse.objects import below, uri_path


@contextmanager
def opened(uri: str, allowed_roots: tuple[bytes, ...]) -> Iterator[tuple[int, os.stat_result]]:
    """Open a regular file; gives its descriptor and what it was then.

    Args:
        uri: file:// URI.
        allowed_roots: Real paths that links may lead into; empty where links are not followed.

    Raises:
        RejectedInputError: If it is none, cannot be opened, or reading it fails.
    """
    try:
        # Never through a link, unless links are followed, and never waiting on a FIFO that took the file's place.
        nofollow = 0 if allowed_roots else os.O_NOFOLLOW
        source = os.open(uri_path(uri), os.O_RDONLY | nofollow | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        rule = "symlink" if error.errno == errno.ELOOP else "unreadable"
        raise RejectedInputError(rule, f"cannot be opened: {error.strerror}") from error
    try:
        if allowed_roots:
            _check_place(source, allowed_roots)
        before = os.fstat(source)
        if not stat.S_ISREG(before.st_mode):
            raise RejectedInputError("not_a_regular_file", "only regular files are read")
        yield source, before
    except OSError as error:
        # Writing fails with an error of its own: only the file can be at fault here.
        raise RejectedInputError("unreadable", f"reading failed: {error.strerror}") from error
    finally:
        os.close(source)


def check_unchanged(source: int, before: os.stat_result, size: int | None = None) -> None:
    """Check that an open file is what it was.

    Args:
        source: Descriptor.
        before: What it was.
        size: Bytes that were read of it to its end; None: not all were.

    Raises:
        RejectedInputError: If it is not.
    """
    after = os.fstat(source)
    same = (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    if not same or size not in (None, before.st_size):
        found = after.st_size if size is None else size
        raise RejectedInputError(
            "changed_while_reading", f"{before.st_size} bytes when opened, {found} read; land it when it is at rest"
        )


def _check_place(source: int, allowed_roots: tuple[bytes, ...]) -> None:
    # What was opened, not what the listing saw: a link may have been turned round in between.
    real = os.readlink(f"/proc/self/fd/{source}".encode())
    if not any(below(real, root) for root in allowed_roots):
        where = os.fsdecode(real)
        raise RejectedInputError("symlink", f"leads to {where!r}, outside the folders that links may lead into")
