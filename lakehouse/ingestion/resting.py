"""Whether a file that appeared is whole, or somebody still writes it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from lakehouse.ingestion.sources.listing import Listed
from lakehouse.objects import uri_path

REST_S = 2.0


class _Look(NamedTuple):
    """What a file looked like, and since when, in seconds."""

    size: int
    written: int
    changed: int
    since: float


@dataclass(slots=True)
class Resting:
    """Tells files at rest from files that are still being written, from one look to the next.

    A file is at rest once nothing about it changed for `rest_s` seconds. One that was moved to its place, or was given
    its time after it was written (`mv`, rsync, `cp -p`), is at rest at once: its inode changed after its bytes. Objects
    of a bucket appear whole.

    Attributes:
        rest_s: Seconds.
        clock: Seconds since the epoch, as the file system counts them.
        follow_links: Whether what a link leads to is looked at.
    """

    rest_s: float = REST_S
    clock: Callable[[], float] = time.time
    follow_links: bool = False
    _looks: dict[str, _Look] = field(default_factory=dict)

    def is_at_rest(self, listed: Listed) -> bool:
        """Say whether a file may be read; what is refused unread, or gone, may be: landing says what is wrong."""
        if listed.rule is not None or not listed.uri.startswith("file:"):
            return True
        try:
            found = os.stat(uri_path(listed.uri), follow_symlinks=self.follow_links)
        except OSError:
            return True
        if found.st_size != listed.size_bytes:
            return False  # it grows while we look
        now = self.clock()
        seen = _Look(found.st_size, found.st_mtime_ns, found.st_ctime_ns, now)
        before = self._looks.get(listed.uri)
        if before is None or before[:3] != seen[:3]:
            before = self._looks[listed.uri] = seen
        was_moved_here = found.st_size > 0 and found.st_ctime_ns > found.st_mtime_ns
        quiet_s = max(now - before.since, now - max(found.st_mtime_ns, found.st_ctime_ns) / 1e9)
        if was_moved_here or quiet_s >= self.rest_s:
            self._looks.pop(listed.uri, None)
            return True
        return False
