"""What was erased or expired while somebody looks: seen at the next question, whoever erases it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from lakehouse.erasures import ERASURE, ERASURES, erasures
from lakehouse.home import Root, home_of

Listener = Callable[[frozenset[str]], object]


class Gone:
    """Looks for erasures whenever it is asked; several threads may ask.

    Args:
        root: The lake.
    """

    def __init__(self, root: Root) -> None:
        self._root = root
        self._guard = threading.Lock()
        self._listeners: list[Listener] = []
        self._records: tuple[tuple[str, str], ...] = ()
        self._erased: frozenset[str] = frozenset()

    def tell(self, listener: Listener) -> None:
        """Call a function with the ids of what was erased or expired, whenever a record of it is new or changed."""
        self._listeners.append(listener)

    def erased(self) -> frozenset[str]:
        """Return the ids of what was erased, after everybody was told of what is new.

        Costs one listing of a folder that is most often missing; records are read where they changed.

        Raises:
            TableError: If a record cannot be read.
        """
        records = tuple((each.name, each.version) for each in home_of(self._root).files.list(ERASURES))
        with self._guard:
            # A record changes as its erasure goes on: what was asked meanwhile may have rows that are gone now.
            if records != self._records:
                found = erasures(self._root)
                for listener in self._listeners:
                    listener(frozenset(entity for each in found for entity in each.entities))
                self._erased = frozenset(entity for each in found if each.kind == ERASURE for entity in each.entities)
                self._records = records
            return self._erased
