"""Writing rows about entities that nobody erases meanwhile: what was erased must not come back by a step that ran."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from lakehouse.erasures import LOCK, erased_entities
from lakehouse.errors import IngestError
from lakehouse.lake import Lake
from lakehouse.objects import object_uri
from lakehouse.tables.locks import lake_lock


@contextmanager
def between_erasures(lake: Lake, taken: Callable[[], Iterable[str]], known: frozenset[str]) -> Iterator[None]:
    """Write rows in the block.

    Args:
        lake: The lake.
        taken: Returns the ids of the entities that the rows are about; called only if somebody erased something.
        known: What was erased when these were read.

    Raises:
        IngestError: If one of them was erased since; nothing was written, and its object, if it came back, is deleted.
    """
    with lake_lock(lake, LOCK):
        since = erased_entities(lake.home) - known
        back = sorted(since.intersection(taken())) if since else []
        for entity in back:
            lake.files.delete(object_uri(entity))
        if back:
            raise IngestError(f"{len(back)} of these entities were erased meanwhile; nothing was written: run it again")
        yield
