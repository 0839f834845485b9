"""Which version of a table was the newest at a time."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from datetime import UTC, datetime

from lakehouse.errors import ConfigError, VersionUnavailableError
from lakehouse.home import Root
from lakehouse.lake import utc_now
from lakehouse.tables.read import open_table
from schemas.model import Table


def version_times(root: Root, table: Table) -> list[datetime]:
    """Return when each version of a table was committed, from version 0 on; UTC, milliseconds.

    A version is never earlier than the one before it: clocks of writers go back, versions do not.

    Raises:
        TableNotFoundError: If the lake has no such table.
    """
    told = sorted((int(each["version"]), int(each["timestamp"])) for each in open_table(root, table).history())
    return [datetime.fromtimestamp(each / 1000, UTC) for each in itertools.accumulate((ms for _, ms in told), max)]


def version_at(root: Root, table: Table, time: datetime) -> int:
    """Return the newest version that was committed no later than `time`.

    Raises:
        ConfigError: If the time names no zone, or has not come yet: the answer could change until then.
        VersionUnavailableError: If the table was made later; the message says when.
    """
    if time.tzinfo is None:
        raise ConfigError(f"as_of = {time}: names no time zone; for UTC: datetime(..., tzinfo=UTC)")
    if time > utc_now():
        raise ConfigError(f"as_of = {time}: has not come yet; leave it out to read what is there now")
    times = version_times(root, table)
    found = bisect_right(times, time) - 1
    if found < 0:
        raise VersionUnavailableError(
            f"{table.name}: was not there at {time}; version 0 is of {times[0]}, the newest, {len(times) - 1}, of "
            f"{times[-1]} ({root})"
        )
    return found
