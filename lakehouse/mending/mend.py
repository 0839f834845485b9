"""mend: one damaged thing, told by the name that `verify` and `fsck` give it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lakehouse.errors import ConfigError
from lakehouse.lake import Lake
from lakehouse.mending.entities import mend_entity
from lakehouse.mending.mended import Mended
from lakehouse.mending.published import mend_published
from lakehouse.mending.tables import mend_table
from lakehouse.names import nearest
from schemas.tables import BY_NAME

ENTITY = re.compile(r"[0-9a-f]{64}")
PUBLISHED = re.compile(r"[^/]+/[0-9a-f]+")


def mend(lake: Lake, what: str, copy: Lake | None) -> Iterator[Mended]:
    """Mend one thing and yield what came of each file of it that was not as it must be.

    Args:
        lake: From `looking`.
        what: Name of a table, id of an entity, or `<name>/<version id>` of a published version, of which there must
            be a copy: without one it is published again, which is for `materialise`.
        copy: A copy of the lake, from `looking`; None if there is none.

    Raises:
        ConfigError: If it is none of these, or the copy is of other things.
        EntityNotFoundError, TableError, LoaderError: As of what mends it.
    """
    if what in BY_NAME:
        yield from mend_table(lake, BY_NAME[what], copy)
    elif ENTITY.fullmatch(what):
        yield from mend_entity(lake, what, copy)
    elif PUBLISHED.fullmatch(what) and copy is not None:
        yield from mend_published(lake, what, copy)
    else:
        raise ConfigError(
            f"{what}: expected the name of a table, the id of an entity, or <name>/<version id> of a published version"
            f"{nearest(what, BY_NAME)}"
        )
