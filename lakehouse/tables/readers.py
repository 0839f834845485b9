"""Pins of steps that read: while one is under way, the files of the versions that it reads stay, whatever the grace.

They are pins like those of people (`lakehouse.care.pins`), under names that nobody else gives, and end by themselves: a
step that was killed keeps files for a day.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, timedelta
from typing import TYPE_CHECKING

from lakehouse.verification.places import place_at
from lakehouse.verification.tables import verify_table
from loaders.errors import LoaderError
from schemas.tables import BY_NAME

if TYPE_CHECKING:
    from lakehouse.lake import Lake

PINS = "_pins"
"""Folder of all pins of a lake."""

READING = timedelta(days=1)
"""How long a step may read; longer ones are to be pinned by whoever runs them."""


@contextmanager
def reading(lake: Lake, versions: Mapping[str, int], *, by: str) -> Iterator[None]:
    """Keep versions of tables readable during the block.

    Args:
        lake: The lake.
        versions: Table -> version, verified; without any nothing is done.
        by: Who reads: the name of the step.

    Raises:
        VersionUnavailableError: If files of a version were removed before the pin was there.
        TableError: If a file is damaged.
        StorageError: If the bucket refuses, or does not answer.
    """
    if not versions:
        yield
        return
    until = (lake.clock() + READING).astimezone(UTC).isoformat()
    name = f"{PINS}/reading-{by}-{uuid.uuid4().hex}.json"
    lake.files.put(name, (json.dumps({"tables": dict(versions), "until": until}) + "\n").encode())
    try:
        for table, version in versions.items():
            verify_table(*place_at(lake.home, BY_NAME[table], version))  # notes make this a look at each file
        yield
    finally:
        try:
            lake.files.delete(name)
        except LoaderError:
            pass  # it ends by itself
