"""What extractors return is checked: kinds, ranges, names."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from lakehouse.dimensions.values import check_values, plain
from lakehouse.extractors.extractor import Dimension
from tests.dimensions.samples import extractor

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def dimension(kind: str) -> Dimension:
    return Dimension("mine", kind, "A doc.")


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("integer", 7, 7), ("integer", np.int16(7), 7), ("integer", 1 - 2**53, 1 - 2**53),
        ("number", 1.5, 1.5), ("number", 2, 2.0), ("number", np.float32(0.5), 0.5), ("number", np.int64(3), 3.0),
        ("text", "", ""), ("text", "Grüße", "Grüße"), ("boolean", True, True), ("boolean", np.True_, True),
        ("timestamp", NOON, NOON), *((kind, None, None) for kind in ("integer", "number", "text", "boolean")),
    ],
)
def test_values_of_the_kind_become_plain(kind, value, expected):
    found = plain(dimension(kind), value)

    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("kind", "value"),
    [("integer", 1.0), ("integer", True), ("integer", "1"), ("number", "1"), ("number", False), ("number", 1j),
     ("text", 1), ("text", b"bytes"), ("boolean", 1), ("boolean", "true"), ("timestamp", "2026-01-01"),
     ("timestamp", 0)],
)
def test_values_of_another_kind_are_refused(kind, value):
    with pytest.raises(TypeError, match=f"mine is a {type(value).__name__}, expected {kind}"):
        plain(dimension(kind), value)


@pytest.mark.parametrize(
    ("kind", "value"),
    [("number", float("nan")), ("number", float("inf")), ("number", np.float64("-inf")), ("integer", 2**53),
     ("text", "\ud800"), ("timestamp", datetime(2026, 1, 1))],
)
def test_values_that_no_column_can_hold_are_refused(kind, value):
    with pytest.raises(ValueError):
        plain(dimension(kind), value)


def test_what_is_left_out_has_no_value():
    assert check_values(extractor(), {}) == [None]


def test_names_that_were_not_declared_are_refused():
    with pytest.raises(ValueError, match="returned second_byte, third_byte, which it does not declare"):
        check_values(extractor(), {"first_byte": 1, "third_byte": 3, "second_byte": 2})


def test_an_answer_that_is_no_mapping_is_refused():
    with pytest.raises(TypeError, match="returned list, expected a mapping"):
        check_values(extractor(), [1])
