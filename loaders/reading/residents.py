"""Which row groups are in memory: loaded when first held, kept while held, and then until their place is needed."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np

Submit = Callable[..., "Future[object]"]


@dataclass(eq=False, slots=True)
class _Entry:
    """One row group that is in memory, on its way, or waiting for a free slot (-1)."""

    group: int
    slot: int = -1
    users: int = 0
    loaded: Future[None] = field(default_factory=Future)


class Hold:
    """Row groups that stay in memory until `release`."""

    def __init__(self, residents: Residents, entries: list[_Entry]) -> None:
        self._residents = residents
        self._entries = entries

    @property
    def loaded(self) -> list[Future[None]]:
        """One future for each row group: done when it is in memory, or what went wrong with it."""
        return [entry.loaded for entry in self._entries]

    def release(self) -> None:
        """Let go of them; the second call does nothing."""
        entries, self._entries = self._entries, []
        self._residents.let_go(entries)


class Residents:
    """The slots of an arena and who is in them. Safe to use from several threads.

    A hold may need at most `slots` row groups. Holds get their slots in the order in which they were asked for, so
    that an early one never waits for a late one.
    """

    def __init__(
        self, groups: int, slots: int, *, rows: int, load: Callable[[int, int], None],
        submit: Callable[[int, Callable[[], None]], object],
    ) -> None:  # fmt: skip
        """Begin with nothing in memory.

        Args:
            groups: Row groups of the split.
            slots: Row groups that fit into memory.
            rows: Rows that one slot has room for.
            load: Reads a row group into a slot.
            submit: Runs a function for a row group, soon and elsewhere.
        """
        self.base = np.full(groups, -1, dtype=np.int64)
        """Row of the arena at which each resident row group begins."""
        self._rows = rows
        self._load, self._submit = load, submit
        self._entries: dict[int, _Entry] = {}
        self._idle: OrderedDict[int, _Entry] = OrderedDict()
        self._waiting: deque[_Entry] = deque()
        self._free = list(range(slots - 1, -1, -1))
        self._lock = threading.Lock()
        self._to_come = groups if slots >= groups else -1

    @property
    def has_everything(self) -> bool:
        """Whether all row groups are in memory for good: nothing needs to be held any more."""
        return not self._to_come

    def hold(self, groups: Iterable[int]) -> Hold:
        """Keep row groups in memory, reading those that are not there."""
        start: list[_Entry] = []
        with self._lock:
            entries = []
            for group in groups:
                entry = self._entries.get(group)
                if entry is None:
                    entry = self._entries[group] = _Entry(group)
                    self._waiting.append(entry)
                elif not entry.users:
                    self._idle.pop(group, None)
                entry.users += 1
                entries.append(entry)
            start = self._place()
        self._begin(start)
        return Hold(self, entries)

    def let_go(self, entries: list[_Entry]) -> None:
        """Release what a hold had."""
        with self._lock:
            for entry in entries:
                entry.users -= 1
                if entry.users or self._entries.get(entry.group) is not entry:
                    continue
                if entry.slot < 0:
                    self._forget(entry)
                else:
                    self._idle[entry.group] = entry
            start = self._place()
        self._begin(start)

    def _place(self) -> list[_Entry]:
        """Give slots to those who wait, the oldest first."""
        placed = []
        while self._waiting:
            if not self._free:
                unused = next((entry for entry in self._idle.values() if entry.loaded.done()), None)
                if unused is None:
                    break
                del self._idle[unused.group]
                self._forget(unused)
            entry = self._waiting.popleft()
            entry.slot = self._free.pop()
            self.base[entry.group] = entry.slot * self._rows
            placed.append(entry)
        return placed

    def _forget(self, entry: _Entry) -> None:
        self._entries.pop(entry.group, None)
        if entry.slot < 0:
            self._waiting.remove(entry)
        else:
            self._free.append(entry.slot)
            self.base[entry.group] = -1

    def _begin(self, entries: list[_Entry]) -> None:
        for entry in entries:
            self._submit(entry.group, lambda entry=entry: self._fill(entry))  # type: ignore[misc]

    def _fill(self, entry: _Entry) -> None:
        try:
            self._load(entry.group, entry.slot)
        except BaseException as error:
            with self._lock:  # forgotten whoever still waits for it, so that the next hold tries again
                self._idle.pop(entry.group, None)
                self._forget(entry)
            entry.loaded.set_exception(error)
        else:
            entry.loaded.set_result(None)
            with self._lock:
                self._to_come -= self._to_come > 0
        with self._lock:  # there is room now, or one that nobody wants any more may make some
            start = self._place()
        self._begin(start)
