"""What tells functions apart, so that a cache does not give the rows of another one."""

from __future__ import annotations

import re
import textwrap
import threading
from decimal import Decimal
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from loaders.petastorm.shipping import digest_of


def made(text, **names):
    """Return `f` of a module of this text."""
    scope = {"__name__": "some_module", **names}
    exec(textwrap.dedent(text), scope)
    return scope["f"]


def closing_over(value):
    return lambda row: (row, value)


def add(amount, row):
    return row + amount


class Scaled:
    def __init__(self, by):
        self.by = by

    def __call__(self, row):
        return row * self.by


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (closing_over(partial(add, 1)), closing_over(partial(add, 2))),
        (closing_over(abs), closing_over(len)),
        (closing_over(re.compile("a")), closing_over(re.compile("b"))),
        (closing_over(Decimal(1)), closing_over(Decimal(2))),
        (closing_over(Path("a")), closing_over(Path("b"))),
        (closing_over(range(2)), closing_over(range(3))),
        (closing_over(np.zeros(3)), closing_over(np.ones(3))),
        (closing_over({1: [2]}), closing_over({1: [3]})),
        (closing_over({"a", "b"}), closing_over({"a", "c"})),
        (closing_over(closing_over(1)), closing_over(closing_over(2))),
        (partial(add, 1), partial(add, 2)),
        (Scaled(1), Scaled(2)),
        (Scaled(1).__call__, Scaled(2).__call__),
        (made("SCALE = 2\ndef f(row): return row * SCALE"), made("SCALE = 3\ndef f(row): return row * SCALE")),
        (made("def g(): return 1\ndef f(row): return g()"), made("def g(): return 2\ndef f(row): return g()")),
        (made("def f(row, by=1): return row * by"), made("def f(row, by=2): return row * by")),
        (made("def f(row): return [x + 1 for x in row]"), made("def f(row): return [x + 2 for x in row]")),
        (made("def f(row): return row.lower()"), made("def f(row): return row.upper()")),
        (made("class A:\n def g(self): return 1\ndef f(row): return A().g()"),
         made("class A:\n def g(self): return 2\ndef f(row): return A().g()")),
        (None, add),
    ],
)  # fmt: skip
def test_functions_that_differ_have_different_digests(one, other):
    assert digest_of(one) != digest_of(other)
    assert (digest_of(one), digest_of(other)) == (digest_of(one), digest_of(other))


def test_what_cannot_be_looked_into_is_never_found_again():
    locked = closing_over(threading.Lock())
    assert digest_of(locked) != digest_of(locked)


def test_functions_that_call_themselves_have_a_digest():
    text = "def f(row): return f(row - 1) if row else 0"
    assert digest_of(made(text)) == digest_of(made(text))
