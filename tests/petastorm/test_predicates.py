"""Predicates keep the rows that Petastorm's keep, asked about rows or about whole row groups."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from loaders.petastorm.predicates import (
    PredicateBase,
    in_intersection,
    in_lambda,
    in_negate,
    in_pseudorandom_split,
    in_reduce,
    in_set,
    included,
)

FRAME = pd.DataFrame(
    {"id": np.arange(6), "name": list("abcabc"), "tags": [[1, 2], [3], [], [2], [4, 5], [1]]}, index=range(10, 16)
)


def kept(predicate, frame=FRAME):
    """The rows that a predicate keeps of a DataFrame; the same, one row at a time."""
    answer = predicate.do_include(frame)
    assert isinstance(answer, pd.Series)
    assert answer.index.equals(frame.index)
    rows = [bool(predicate.do_include(row)) for row in frame.to_dict("records")]
    assert answer.tolist() == rows == included(predicate, frame).tolist()
    return np.flatnonzero(rows).tolist()


def test_each_predicate_says_the_same_about_rows_and_frames():
    assert kept(in_set({1, 4, 99}, "id")) == [1, 4]
    assert kept(in_set(["a"], "name")) == [0, 3]
    assert kept(in_set([], "id")) == []
    assert kept(in_intersection([2, 5], "tags")) == [0, 3, 4]
    assert kept(in_negate(in_set({"a", "b"}, "name"))) == [2, 5]
    assert kept(in_reduce([in_set({0, 1, 2}, "id"), in_set({"a"}, "name")], all)) == [0]
    assert kept(in_reduce([in_set({0, 1, 2}, "id"), in_set({"a"}, "name")], any)) == [0, 1, 2, 3]
    assert kept(in_reduce([in_set({0, 1}, "id"), in_set({"a"}, "name")], lambda both: sum(both) == 1)) == [1, 3]
    assert kept(in_reduce([in_set({0, 1}, "id"), in_set({"a"}, "name")], lambda both: both[0] and not both[1])) == [1]
    assert kept(in_reduce([], all)) == [0, 1, 2, 3, 4, 5]
    assert len(kept(in_pseudorandom_split([0.5, 0.5], 0, "name"))) in (0, 2, 4, 6)


@pytest.mark.parametrize(
    ("fields", "function", "rows"),
    [
        (["id"], lambda id: id > 3, [4, 5]),  # takes columns too
        (["id"], lambda id: id > 1 and id < 4, [2, 3]),  # takes values alone
        (["id", "name"], lambda id, name: name == "a" and id in {3}, [3]),
        (["name"], lambda name: name.startswith("b"), [1, 4]),
        (["name"], lambda name: len(name) > 3, []),  # a column has a length, but it is not that of its values
        (["tags"], lambda tags: 2 in tags, [0, 3]),
        (["tags"], lambda tags: not tags, [2]),
        ([], lambda: True, [0, 1, 2, 3, 4, 5]),
    ],
)
def test_functions_are_called_with_columns_or_with_values(fields, function, rows):
    assert kept(in_lambda(fields, function)) == rows


def test_functions_keep_a_state_unless_it_is_none():
    seen = []
    in_lambda(["id"], lambda id, state: state.append(id), seen).do_include({"id": 7})
    assert seen == [7]
    assert in_lambda(["id"], lambda id: id == 7, None).do_include({"id": 7})


def test_an_error_of_a_function_reaches_the_caller():
    with pytest.raises(ZeroDivisionError):
        in_lambda(["id"], lambda id: 1 // 0).do_include(FRAME)
    with pytest.raises(AttributeError, match="no attribute 'upper'"):
        in_lambda(["id"], lambda id: id.upper()).do_include(FRAME)


def test_predicates_of_ones_own_are_asked_about_rows_if_they_know_no_frames():
    class Even(PredicateBase):
        def get_fields(self):
            return {"id"}

        def do_include(self, values):
            return bool(values["id"] % 2 == 0)

    assert included(Even(), FRAME).tolist() == [True, False] * 3
    assert kept(in_negate(Even())) == [1, 3, 5]


def test_nulls_and_moments_are_found_in_frames():
    moments = pd.DataFrame({"at": pd.to_datetime(["2024-01-02", None, "2024-01-03"])})
    assert in_set({np.datetime64("2024-01-02")}, "at").do_include(moments).tolist() == [True, False, False]
    assert in_set({pd.Timestamp("2024-01-03"), None}, "at").do_include(moments).tolist() == [False, True, True]
    assert in_set({None}, "x").do_include(pd.DataFrame({"x": [1.0, math.nan]})).tolist() == [False, True]


def test_split_puts_every_kind_of_value_where_petastorm_puts_it():
    # Parts found by Petastorm 0.13.1 with these fractions.
    parts = {
        "guid_0": 1, "guid_1": 2, "guid_2": 0, "Grüße": 0, "": 0, 0: 0, 1: 0, -5: 1, 2**62: 1, np.int64(7): 4,
        np.float32(0.1): 1, 0.1: 1, None: 1, b"x": 2, Decimal("1.50"): 4, np.str_("guid_3"): 4,
        np.datetime64("2024-01-02T03:04:05.678901"): 4, np.uint8(200): 0,
    }  # fmt: skip
    splits = [in_pseudorandom_split([0.3, 0.4, 0.1, 0.0, 0.2], part, "f") for part in range(5)]
    for value, wanted in [*parts.items(), (True, 2), (np.bool_(True), 2)]:
        assert [part for part, split in enumerate(splits) if split.do_include({"f": value})] == [wanted]
    frame = pd.DataFrame({"f": [f"guid_{number}" for number in range(60)]})
    found = sum(part * in_pseudorandom_split([0.1, 0.7, 0.2], part, "f").do_include(frame) for part in range(3))
    assert "".join(map(str, found)) == "111211001011111101202111111111211112111101111111211111111111"
    floats = pd.DataFrame({"f": np.array([0.1], np.float32)})
    assert splits[1].do_include(floats).tolist() == [True]


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="Predicate fields should be a list"):
        in_lambda("id", bool)
    for make in (in_negate, lambda predicate: in_reduce([predicate], all)):
        with pytest.raises(ValueError, match="Predicate is nor derived from PredicateBase"):
            make(lambda row: True)
    with pytest.raises(ValueError, match="subset_index is out of range"):
        in_pseudorandom_split([0.5, 0.5], 2, "id")
    with pytest.raises(ValueError, match="Tested values does not have split key: id"):
        in_pseudorandom_split([1.0], 0, "id").do_include({"other": 1})
    with pytest.raises(ValueError, match="Predicate field should have iterable type"):
        in_intersection([1], "id").do_include({"id": 1})
    with pytest.raises(TypeError):
        PredicateBase()


def test_fields_are_those_of_all_parts():
    both = in_reduce([in_set([1], "a"), in_negate(in_lambda(["b", "c"], bool))], any)
    assert both.get_fields() == {"a", "b", "c"}
