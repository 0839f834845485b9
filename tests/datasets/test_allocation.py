"""How many of each cell: exact quotas, shares by largest remainders, and who lends to cells that are short."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.datasets.choosing.allocation import allocate, allotment_of, joined, largest_remainders, parts_of
from lakehouse.datasets.choosing.bins import bin_names
from lakehouse.datasets.recipes.sections.strata import Strata, check_strata
from lakehouse.errors import RecipeError
from tests.lanes import examples

AVAILABLE = {"cat": 12, "dog": 5, "emu": 3}


def taken(available=None, **strata):
    made = Strata(**{"by": ("label",)} | strata)
    check_strata(made, "r.toml")
    return {cell.stratum: cell for cell in allocate(made, AVAILABLE if available is None else available)}


def counts(found):
    return {name: cell.most for name, cell in found.items()}


@pytest.mark.parametrize(
    ("strata", "expected"),
    [
        ({"quota": 3}, {"cat": 3, "dog": 3, "emu": 3}),
        ({"quota": {"cat": 4, "emu": 1}}, {"cat": 4, "dog": 0, "emu": 1}),
        ({"quota": 5}, {"cat": 5, "dog": 5, "emu": 3}),
        ({"quota": 5, "on_short": "borrow"}, {"cat": 7, "dog": 5, "emu": 3}),
        # What is wanted of no cell of its own is not lent either.
        ({"quota": {"dog": 2, "emu": 5}, "on_short": "borrow"}, {"cat": 0, "dog": 4, "emu": 3}),
        ({"quota": 9, "on_short": "borrow"}, {"cat": 12, "dog": 5, "emu": 3}),
        ({"proportion": {"cat": 0.5, "dog": 0.25, "emu": 0.25}, "total": 8}, {"cat": 4, "dog": 2, "emu": 2}),
        # 3.5, 1.75, 1.75: two are left, and the largest remainders are of dog and emu.
        ({"proportion": {"cat": 0.5, "dog": 0.25, "emu": 0.25}, "total": 7}, {"cat": 3, "dog": 2, "emu": 2}),
        # As many as emu's quarter of them allows.
        ({"proportion": {"cat": 0.5, "dog": 0.25, "emu": 0.25}}, {"cat": 6, "dog": 3, "emu": 3}),
        ({"proportion": {"cat": 0.9, "emu": 0.1}}, {"cat": 12, "dog": 0, "emu": 1}),
        ({"proportion": "natural", "total": 10}, {"cat": 6, "dog": 3, "emu": 1}),
        ({"max": 4, "cells": {"emu": 1}}, {"cat": 4, "dog": 4, "emu": 1}),
        ({"min": 5, "max": 6, "on_short": "borrow"}, {"cat": 8, "dog": 5, "emu": 3}),
        ({}, {"cat": 12, "dog": 5, "emu": 3}),
    ],
)
def test_what_each_cell_gives(strata, expected):
    assert counts(taken(**strata)) == expected


def test_a_cell_borrows_from_the_nearest_bins_then_from_those_with_most_to_spare():
    edges = {"brightness": [0.2, 0.4, 0.6]}
    available = {"cat|<0.2": 1, "cat|0.2..0.4": 4, "cat|0.4..0.6": 9, "dog|<0.2": 50}
    found = taken(available, by=("label", "brightness"), bins=edges, quota=3, on_short="borrow")
    assert dict(found["cat|<0.2"].borrowed) == {"cat|0.2..0.4": 1, "cat|0.4..0.6": 1}
    assert (found["cat|0.2..0.4"].lent, found["cat|0.4..0.6"].lent, found["dog|<0.2"].lent) == (1, 1, 0)
    plain = taken({"a": 1, "b": 5, "c": 9, "d": 9}, quota=3, on_short="borrow")
    assert dict(plain["a"].borrowed) == {"c": 2}
    assert str(plain["a"]) == "a wanted 3, available 1, taken 1, 2 borrowed from c"
    assert allotment_of(plain["a"].to_plain()) == plain["a"]


def test_values_with_bars_come_apart_as_they_were_joined():
    two = Strata(by=("label", "mode"))
    for parts in (["a|b", "c"], ["a", "b|c"], ["\\", "|"], ["", ""]):
        assert parts_of(two, joined(parts)) == parts
    assert parts_of(Strata(by=("label",)), "a|b\\") == ["a|b\\"]
    assert bin_names([0.5]) == ["<0.5", ">=0.5"]


CELLS = st.dictionaries(st.sampled_from([f"{a}|{b}" for a in "xyz" for b in ("q1", "q2", "q3")]), st.integers(0, 30),
                        min_size=1)  # fmt: skip
WAYS = st.one_of(
    st.fixed_dictionaries({"quota": st.integers(1, 20)}),
    CELLS.filter(lambda each: any(each.values())).map(lambda each: {"quota": each}),
    st.fixed_dictionaries({"min": st.integers(1, 9), "max": st.sampled_from([0, 9, 20])}),
    st.integers(1, 60).map(lambda total: {"proportion": "natural", "total": total}),
    st.integers(0, 60).map(lambda total: {"proportion": {"x|q1": 0.5, "x|q2": 0.3, "y|q3": 0.2}, "total": total}),
)


@settings(max_examples=examples(60, long=2000))
@given(available=CELLS, way=WAYS, on_short=st.sampled_from(["fail", "take", "borrow"]))
def test_every_cell_has_its_quota_or_is_reported_and_nobody_is_counted_twice(available, way, on_short):
    strata = Strata(by=("origin", "width"), bins={"width": 3}, on_short=on_short, **way)
    check_strata(strata, "r.toml")
    found = allocate(strata, available)
    cells = {cell.stratum: cell for cell in found}
    assert set(available) <= set(cells)
    for cell in found:
        assert 0 <= cell.taken <= cell.most <= cell.available == available.get(cell.stratum, 0)
        assert cell.short == max(0, cell.least - cell.taken)
        if strata.quota or strata.proportion:
            assert cell.taken + cell.short == cell.wanted
        assert cell.lent == sum(other.borrowed.get(cell.stratum, 0) for other in found)
        assert sum(cell.borrowed.values()) <= cell.short
        assert not (cell.borrowed and cell.lent)
    if on_short == "borrow":
        lacking = any(sum(cell.borrowed.values()) < cell.short for cell in found)
        assert not lacking or all(cell.short or cell.wanted == 0 or cell.most == cell.available or cell.wanted is None
                                  for cell in found)  # fmt: skip
    else:
        assert not any(cell.borrowed for cell in found)
    assert allocate(strata, dict(reversed(available.items()))) == found


@settings(max_examples=examples(60, long=1000))
@given(shares=st.dictionaries(st.text("abc", min_size=1), st.integers(0, 9), min_size=1), total=st.integers(0, 99))
def test_largest_remainders_add_up_and_are_off_by_less_than_one(shares, total):
    exact = {name: Fraction(share) for name, share in shares.items()}
    found = largest_remainders(exact, total)
    whole = sum(shares.values())
    assert sum(found.values()) == (total if whole else 0)
    assert all(abs(found[name] - total * share / whole) < 1 for name, share in exact.items() if whole)


@pytest.mark.parametrize(
    ("strata", "message"),
    [
        ({"quota": 3, "max": 2}, "strata.max and strata.quota both say how many"),
        ({"quota": 3, "proportion": "natural", "total": 3}, "strata.quota and strata.proportion both"),
        ({"quota": {"cat": -1}}, "must not be negative"),
        ({"by": (), "quota": 3}, "strata.quota needs strata.by"),
        ({"proportion": "naturally", "total": 3}, 'give shares by cell, or "natural"'),
        ({"proportion": "natural"}, "needs strata.total"),
        ({"proportion": {"cat": 0.5, "dog": 0.4}}, "adds up to 0.9, expected 1"),
        ({"proportion": {"cat": 1.5, "dog": -0.5}}, "shares within 0..1"),
        ({"proportion": {"cat": float("nan")}}, "shares within 0..1"),
        ({"total": 5}, "strata.total is what strata.proportion divides"),
        ({"quota": 3, "on_short": "lend"}, "strata.on_short = 'lend'"),
        ({"max": 3, "on_short": "take"}, "strata.on_short is about strata.min"),
    ],
)
def test_strata_that_contradict_themselves_are_named(strata, message):
    with pytest.raises(RecipeError, match=message):
        taken(**strata)
