"""Units are made ahead, in order, within a budget; errors, ends and deadlines come to the caller."""

from __future__ import annotations

import threading
import time

import pytest

from loaders.errors import DeadlineError
from loaders.petastorm.rowgroups import ahead as ahead_module
from loaders.petastorm.rowgroups.ahead import Ahead, Threads
from loaders.petastorm.rowgroups.order import Unit
from loaders.petastorm.rowgroups.work import Made, Rows, Task


class FakeMaker:
    """Unit i has `pieces[i]` pieces of one row; loading counts how many were asked for."""

    def __init__(self, pieces, *, size=0, act=None):
        self.pieces, self.size, self.act, self.loaded = pieces, size, act, []

    def load(self, task):
        self.loaded.append(task.unit.ordinal)
        if self.act is not None:
            self.act(task)
        ordinal = task.unit.ordinal
        rows = tuple(Rows({"at": [(ordinal, piece)]}, 1) for piece in range(self.pieces[ordinal]))
        return Made(rows, self.size)


def tasks(count):
    return iter([Task(0, place, Unit(place)) for place in range(count)])


def drained(ahead):
    found = []
    while (made := ahead.next()) is not None:
        found += made[1].columns["at"] if made[1].count else []
    return found


@pytest.fixture
def start(request):
    def begin(maker, *, threads=3, count=None, deadline_s=10.0):
        workers = Threads(maker, threads=threads, readers=min(3, threads))
        request.addfinalizer(workers.close)
        count = len(maker.pieces) if count is None else count
        return Ahead(workers, tasks(count), deadline_s=deadline_s)

    return begin


@pytest.mark.parametrize("threads", [0, 1, 4])
def test_pieces_come_in_order_whoever_makes_them(start, threads):
    pieces = [2, 0, 1, 5, 0, 0, 1]
    slow = FakeMaker(pieces, act=lambda task: time.sleep(0.01 if task.unit.ordinal % 2 else 0.0))
    expected = [(unit, piece) for unit, count in enumerate(pieces) for piece in range(count)]
    assert drained(start(slow, threads=threads)) == expected


def test_an_error_comes_where_its_unit_would(start):
    def act(task):
        if task.unit.ordinal == 2:
            raise KeyError("broken")

    ahead = start(FakeMaker([1, 1, 1, 1], act=act))
    assert [ahead.next()[0].place for _ in range(2)] == [0, 1]
    with pytest.raises(KeyError, match="broken"):
        ahead.next()


def test_large_units_are_not_read_far_ahead(start, monkeypatch):
    monkeypatch.setattr(ahead_module, "AHEAD_BYTES", 1000)
    maker = FakeMaker([1] * 20, size=600)
    ahead = start(maker, threads=8)
    ahead.next()
    time.sleep(0.2)
    assert len(maker.loaded) <= 3  # the one delivered and at most two that were asked for before it told its size


def test_what_hangs_is_named_when_time_is_up(start):
    go_on = threading.Event()
    ahead = start(FakeMaker([1], act=lambda task: go_on.wait(20)), deadline_s=0.3)
    with pytest.raises(DeadlineError, match="reading row group 0"):
        ahead.next()
    go_on.set()
    assert ahead.next()[0].place == 0  # it went on


def test_a_unit_without_rows_is_told_too(start):
    ahead = start(FakeMaker([0, 1, 0]))
    assert [(task.place, rows.count) for task, rows in (ahead.next() for _ in range(3))] == [(0, 0), (1, 1), (2, 0)]
    assert ahead.next() is None
