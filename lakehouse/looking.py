"""Opening a lake to look through it, damaged ones as well: nothing that this machine knows of it is believed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from lakehouse.config import Config
from lakehouse.ending import removed_at_end
from lakehouse.lake import Lake, utc_now
from lakehouse.place import find_home, is_lake, require_lake


@contextmanager
def looking(config: Config) -> Iterator[Lake]:
    """Open a lake to look through it: embedded, in this process, without a write; damaged ones as well.

    Raises:
        TableNotFoundError: If there is no lake.
    """
    alone = replace(config, engine=replace(config.engine, workers=1))
    with tempfile.TemporaryDirectory(prefix="petrel-") as scratch, removed_at_end(Path(scratch)):
        # A copy of its own: what this machine fetched before is no witness to what the bucket has now.
        home = find_home(replace(config, lake=replace(config.lake, copies=f"{scratch}/copies")))
        if not is_lake(home):
            require_lake(home)
        lake = Lake(alone, home=home, engine="embedded", clock=utc_now, scratch=Path(scratch))
        try:
            yield lake
        finally:
            lake.close()
