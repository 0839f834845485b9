"""Filters: one form, one meaning, and statistics that never lose a row."""

from __future__ import annotations

import io
import math
from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loaders.errors import FormatError
from loaders.format.fields import Field
from loaders.ordering.bounds import Bounds, bounds_of
from loaders.ordering.filters import parse_filter
from schemas.canonical import canonical_json

DAY = datetime(2024, 5, 1, tzinfo=UTC)
FIELDS = (
    Field("number", pa.int64(), nullable=True),
    Field("tiny", pa.uint8(), nullable=True),
    Field("huge", pa.uint64(), nullable=True),
    Field("real", pa.float64(), nullable=True),
    Field("single", pa.float32(), nullable=True),
    Field("flag", pa.bool_(), nullable=True),
    Field("name", pa.string(), nullable=True),
    Field("at", pa.timestamp("us", tz="UTC"), nullable=True),
    Field("day", pa.date32(), nullable=True),
    Field("image", pa.binary(), codec="image"),
    Field("soft", pa.list_(pa.float32()), shape=(3,)),
)
TYPES = {field.name: field.type for field in FIELDS}


def rows_that_match(wanted, **columns):
    data = pa.table({name: pa.array(values, TYPES[name]) for name, values in columns.items()})
    return np.flatnonzero(parse_filter(wanted, FIELDS).matches(data)).tolist()


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ([("number", "=", 2)], [1]),
        ([("number", "==", 2)], [1]),
        ([("number", "!=", 2)], [0, 3, 4]),
        ([("number", "<", 3)], [0, 1]),
        ([("number", "<=", 3)], [0, 1, 3]),
        ([("number", ">", 3)], [4]),
        ([("number", ">=", 3)], [3, 4]),
        ([("number", "in", [1, 4, 99])], [0, 4]),
        ([("number", "not in", (1, 4))], [1, 3]),
        ([("number", "is null")], [2]),
        ([("number", "is not null", None)], [0, 1, 3, 4]),
        ([("number", ">", 1), ("number", "<", 4)], [1, 3]),
        ([[("number", "=", 1)], [("number", "is null")], [["number", ">", 3]]], [0, 2, 4]),
        ([("number", "<", 2**70)], [0, 1, 3, 4]),
        ([("number", "=", 2.0)], [1]),
    ],
)
def test_every_operator_on_numbers_with_a_null(wanted, found):
    assert rows_that_match(wanted, number=[1, 2, None, 3, 4]) == found


def test_nan_matches_what_it_matches_in_numpy_and_zero_has_no_sign():
    real = [math.nan, -0.0, 0.0, None, math.inf]
    assert rows_that_match([("real", "!=", 5.0)], real=real) == [0, 1, 2, 4]
    assert rows_that_match([("real", "not in", [0.0])], real=real) == [0, 4]
    assert rows_that_match([("real", "is not null")], real=real) == [0, 1, 2, 4]
    for operator in ("<", "<=", ">", ">=", "=", "in"):
        value = [math.inf] if operator == "in" else math.inf
        assert 0 not in rows_that_match([("real", operator, value)], real=real)
    assert rows_that_match([("real", "=", -0.0)], real=real) == [1, 2]
    assert rows_that_match([("real", "in", [-0.0])], real=real) == [1, 2]
    assert rows_that_match([("real", "=", math.inf)], real=real) == [4]


def test_a_value_is_taken_in_the_type_of_its_column():
    assert rows_that_match([("single", "=", 0.7)], single=[0.7, 0.3]) == [0]
    assert rows_that_match([("single", "in", [np.float64(0.3)])], single=[0.7, 0.3]) == [1]
    assert rows_that_match([("tiny", "in", [300, -1, 7])], tiny=[7, 44]) == [0]
    assert rows_that_match([("tiny", "<", 300)], tiny=[7, 44]) == [0, 1]
    assert rows_that_match([("huge", ">", 2**63)], huge=[2**63, 2**64 - 1]) == [1]
    assert rows_that_match([("huge", ">", -1)], huge=[0]) == [0]
    assert rows_that_match([("huge", "in", [-1, 2**64 - 1])], huge=[2**63, 2**64 - 1]) == [1]


def test_text_booleans_and_clocks_are_compared_too():
    assert rows_that_match([("name", ">=", "é")], name=["e", "é", "z", None, "𝄞"]) == [1, 4]
    assert rows_that_match([("name", "not in", ["e", ""])], name=["e", "é", None, ""]) == [1]
    assert rows_that_match([("flag", "=", True)], flag=[True, False, None]) == [0]
    assert rows_that_match([("flag", "in", [np.False_])], flag=[True, False, None]) == [1]
    assert rows_that_match([("at", ">", DAY)], at=[DAY, DAY.replace(hour=1), None]) == [1]
    assert rows_that_match([("at", "=", np.datetime64("2024-05-01"))], at=[DAY, None]) == [0]
    assert rows_that_match([("day", "<", date(2024, 5, 2))], day=[date(2024, 5, 1), date(2024, 5, 2)]) == [0]
    assert rows_that_match([("day", "in", [np.datetime64("2024-05-02")])], day=[date(2024, 5, 2)]) == [0]


def test_text_in_a_dictionary_is_text():
    values = pa.array(["b", None, "a", "b"]).dictionary_encode()
    data = pa.table({"name": pa.chunked_array([values, pa.array(["c"]).dictionary_encode()])})
    for wanted, found in [([("name", ">=", "b")], [0, 3, 4]), ([("name", "not in", ["b"])], [2, 4]),
                          ([("name", "is null")], [1])]:  # fmt: skip
        assert np.flatnonzero(parse_filter(wanted, FIELDS).matches(data)).tolist() == found


def test_text_that_differs_only_in_unicode_form_is_another_value_and_another_filter():
    composed, decomposed = "\u00e9", "e\u0301"
    assert rows_that_match([("name", "=", composed)], name=[composed, decomposed]) == [0]
    texts = [canonical_json(parse_filter([("name", "=", text)], FIELDS).canonical()) for text in (composed, decomposed)]
    assert texts[0] != texts[1]
    either = parse_filter([[("name", "=", composed)], [("name", "=", decomposed)]], FIELDS)
    assert len(either.alternatives) == 2


def test_filters_that_mean_the_same_have_one_form():
    texts = [
        [[("number", "==", 1), ("real", ">", 0.0)], [("number", "in", [3, 2, 3])]],
        [[["number", "in", (2, 3)]], [["real", ">", -0.0], ["number", "=", 1], ["number", "=", np.int8(1)]]],
    ]
    assert [parse_filter(text, FIELDS).canonical() for text in texts] == [
        [[["number", "=", [1]], ["real", ">", [0.0]]], [["number", "in", [2, 3]]]]
    ] * 2
    assert parse_filter(texts[0], FIELDS).columns == ("number", "real")


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ([], "a filter is a list of terms like"),
        (("number", "=", 1), "a filter is a list of terms like"),
        (pc.field("number") > 1, "a filter is a list of terms like"),
        ([("number", "=", 1), [("number", "=", 2)]], "either terms like .* or lists of terms, not both"),
        ([("number",)], "a term of a filter is"),
        ([("numbr", "=", 1)], "there is no column 'numbr'; did you mean 'number'?"),
        ([("zzz", "=", 1)], "there is no column 'zzz'; there are at, day, flag"),
        ([("image", "is null")], "column image holds binary .codec image.; only numbers"),
        ([("soft", "=", 1)], "column soft holds list"),
        ([("number", "like", 1)], "unknown operator 'like'; use one of =, ==, !="),
        ([("number", "=", None)], "for missing values use 'is null'"),
        ([("number", "is null", 1)], "'is null' takes no value, found 1"),
        ([("number", "=", "1")], "the column holds int64, which cannot be compared with '1'"),
        ([("number", "=", True)], "the column holds int64, which cannot be compared with True"),
        ([("number", ">", 2.5)], "the column holds int64, which cannot be compared with 2.5"),
        ([("real", "=", math.nan)], "the column holds double, which cannot be compared with nan"),
        ([("single", "<", 1e300)], "the column holds float, which cannot be compared with 1e"),
        ([("real", "<", 10**400)], "the column holds double, which cannot be compared with 1000"),
        ([("name", "=", 1)], "the column holds string, which cannot be compared with 1"),
        ([("name", "=", "\ud800")], "the column holds string, which cannot be compared with"),
        ([("name", "in", "cat")], "'in' needs a list of values, found 'cat'"),
        ([("flag", "<", True)], "booleans have no order"),
        ([("at", ">", datetime(2024, 1, 1))], "timestamp.us, tz=UTC., which cannot be compared with datetime"),
        ([("at", ">", np.datetime64("NaT"))], "cannot be compared with"),
        ([("day", ">", DAY)], "the column holds date32.day., which cannot be compared with datetime"),
    ],
)
def test_what_cannot_be_a_filter_is_refused_by_name(wanted, message):
    with pytest.raises(FormatError, match=message):
        parse_filter(wanted, FIELDS)


def bounds_in_file(data):
    """Bounds as they come back from a footer that our writer's library wrote."""
    sink = io.BytesIO()
    pq.write_table(data, sink, row_group_size=max(1, data.num_rows))
    group = pq.ParquetFile(pa.BufferReader(sink.getvalue())).metadata.row_group(0)
    found = {group.column(at).path_in_schema: group.column(at).statistics for at in range(group.num_columns)}
    return lambda field: bounds_of(found.get(field.name), field, data.num_rows)


def test_bounds_come_from_the_footer_in_the_values_of_the_type():
    data = pa.table(
        {
            "huge": pa.array([1, 2**64 - 1, None], pa.uint64()),
            "real": pa.array([math.nan, 2.0, 1.0]),
            "name": pa.array(["a", "é", "b"]),
            "day": pa.array([date(1969, 12, 31), None, date(1970, 1, 2)]),
            "at": pa.array([2**62, 5, -7], pa.timestamp("us", tz="UTC")),
            "single": pa.array([math.nan, None, math.nan], pa.float32()),
        }
    )
    bounds = bounds_in_file(data)
    fields = {field.name: field for field in FIELDS}
    assert bounds(fields["huge"]) == Bounds(3, 1, 1, 2**64 - 1)
    assert bounds(fields["real"]) == Bounds(3, 0, 1.0, 2.0)
    assert bounds(fields["name"]) == Bounds(3, 0, "a", "é")
    assert bounds(fields["day"]) == Bounds(3, 1, -1, 1)
    assert bounds(fields["at"]) == Bounds(3, 0, -7, 2**62)
    assert bounds(fields["single"]) == Bounds(3, 1)
    assert bounds(fields["number"]) == Bounds(3)


def test_bounds_exclude_what_cannot_match():
    def may(term, bounds):
        return parse_filter([term], FIELDS).may_match(lambda field: bounds)

    known = Bounds(10, 0, 5, 9)
    for term, expected in [
        (("number", "=", 4), False), (("number", "=", 5), True), (("number", "in", [4, 10]), False),
        (("number", "<", 5), False), (("number", "<=", 5), True), (("number", ">", 9), False),
        (("number", ">=", 9), True), (("number", "!=", 5), True), (("number", "is null"), False),
        (("number", "is not null"), True), (("number", "in", []), False),
    ]:  # fmt: skip
        assert may(term, known) is expected, term
    one_value = Bounds(10, 0, 5, 5)
    assert not may(("number", "!=", 5), one_value)
    assert not may(("number", "not in", [4, 5]), one_value)
    assert may(("real", "!=", 5), one_value), "a NaN may be among them"
    assert not may(("number", "!=", 5), Bounds(10, 10))
    assert may(("number", "=", 5), Bounds(10)), "unknown bounds exclude nothing"
    assert may(("number", "is null"), Bounds(10))


VALUES = {
    "number": st.integers(-3, 3) | st.sampled_from([2**63 - 1, -(2**63)]),
    "tiny": st.integers(0, 4) | st.just(255),
    "huge": st.integers(0, 3) | st.just(2**64 - 1),
    "real": st.sampled_from([0.0, -0.0, 0.1, 0.7, math.inf, -math.inf]),
    "single": st.sampled_from([0.0, -0.0, 0.1, 0.3, 0.7, 1.5, math.inf]),
    "flag": st.booleans(),
    "name": st.sampled_from(["", "a", "b", "é", "e\u0301", "𝄞", "\uffff", "x" * 5000]),
    "at": st.sampled_from([DAY, DAY.replace(year=1960), DAY.replace(microsecond=1)]),
    "day": st.sampled_from([date(1969, 1, 1), date(2024, 5, 1), date(2024, 5, 2)]),
}


@st.composite
def terms(draw):
    name = draw(st.sampled_from(sorted(VALUES)))
    operators = ["=", "!=", "in", "not in", "is null", "is not null"]
    operators += [] if name == "flag" else ["<", "<=", ">", ">="]
    operator = draw(st.sampled_from(operators))
    if operator in ("is null", "is not null"):
        return name, operator
    return name, operator, draw(st.lists(VALUES[name], max_size=3) if "in" in operator else VALUES[name])


def in_python(term, value):
    """What a term means, said once more without numpy, Arrow or bounds."""
    name, operator, *wanted = term
    if "null" in operator:
        return (value is None) == (operator == "is null")
    if value is None:
        return False
    kind = np.float32 if name == "single" else lambda given: given
    given = [kind(each) for each in (wanted[0] if "in" in operator else wanted)]
    return {
        "=": lambda: value == given[0], "!=": lambda: value != given[0], "<": lambda: value < given[0],
        "<=": lambda: value <= given[0], ">": lambda: value > given[0], ">=": lambda: value >= given[0],
        "in": lambda: value in given, "not in": lambda: value not in given,
    }[operator]()  # fmt: skip


@settings(max_examples=300)
@given(data=st.data(), wanted=st.lists(st.lists(terms(), min_size=1, max_size=3), min_size=1, max_size=3))
def test_matches_are_those_of_plain_python_and_statistics_lose_none(data, wanted):
    count = data.draw(st.integers(1, 4))
    nan = {"real", "single"}
    columns = {
        name: data.draw(
            st.lists(
                st.none() | values | (st.just(math.nan) if name in nan else st.none()), min_size=count, max_size=count
            )
        )
        for name, values in VALUES.items()
    }
    table = pa.table({name: pa.array(values, TYPES[name]) for name, values in columns.items()})
    stored = {name: table.column(name).to_pylist() for name in columns}
    expected = [
        any(all(in_python(term, stored[term[0]][row]) for term in each) for each in wanted) for row in range(count)
    ]
    parsed = parse_filter(wanted, FIELDS)
    assert parsed.matches(table).tolist() == expected
    if any(expected):
        assert parsed.may_match(bounds_in_file(table))
