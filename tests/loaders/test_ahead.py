"""Work that is done ahead comes in order, and so do its errors; no more of it waits than was asked for."""

from __future__ import annotations

import threading
import time

import pytest

from loaders.stores.ahead import ahead


def test_results_come_in_order_whoever_ends_first():
    def slow_first(number: int) -> int:
        time.sleep(0.02 if number % 4 == 0 else 0)
        return number * number

    assert list(ahead(slow_first, range(20), at_once=4)) == [number * number for number in range(20)]


def test_no_more_is_taken_than_is_worked_on():
    taken: list[int] = []

    def numbers():
        for number in range(100):
            taken.append(number)
            yield number

    results = ahead(lambda number: number, numbers(), at_once=3)
    assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
    assert len(taken) == 7
    results.close()
    assert len(taken) == 7


def test_several_are_worked_on_at_once():
    meeting = threading.Barrier(4, timeout=10)
    assert list(ahead(lambda _: meeting.wait() >= 0, range(8), at_once=4)) == [True] * 8


def test_one_at_once_needs_no_thread():
    assert set(ahead(lambda _: threading.current_thread().name, range(3), at_once=1)) == {"MainThread"}


@pytest.mark.parametrize("at_once", [1, 3])
def test_an_error_comes_where_its_result_would(at_once):
    results = ahead(lambda number: 6 // (number - 3), range(6), at_once=at_once)
    assert [next(results) for _ in range(3)] == [-2, -3, -6]
    with pytest.raises(ZeroDivisionError):
        next(results)
