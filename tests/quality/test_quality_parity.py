"""Quality suites on Spark: the outcomes of the embedded engine, from rows that stay where they are."""

from __future__ import annotations

import pyarrow as pa
import pytest

from lakehouse.engines.protocol import Expectation

ROWS = pa.table(
    {
        "n": pa.array([1, None, 3, 40, -4], pa.int64()),
        "x": pa.array([0.5, float("nan"), None, 2.0, 4.5]),
        "word": pa.array(["cat", "dog", None, "cat", "été"]),
        "flag": pa.array([True, False, None, True, True]),
    }
)

ASKED = (
    ("expect_column_values_to_not_be_null", {"column": "n"}),
    ("expect_column_values_to_not_be_null", {"column": "x"}),
    ("expect_column_values_to_be_between", {"column": "n", "min_value": 0, "mostly": 0.5}),
    ("expect_column_values_to_be_in_set", {"column": "word", "value_set": ["cat", "dog"]}),
    ("expect_column_values_to_match_regex", {"column": "word", "regex": "^[a-z]+$"}),
    ("expect_column_value_lengths_to_be_between", {"column": "word", "max_value": 3}),
    ("expect_column_values_to_be_in_set", {"column": "flag", "value_set": [True]}),
    ("expect_column_distinct_values_to_equal_set", {"column": "word", "value_set": ["cat", "dog"]}),
    ("expect_column_max_to_be_between", {"column": "n", "max_value": 39}),
    ("expect_column_values_to_be_unique", {"column": "word"}),
    ("expect_table_row_count_to_equal", {"value": 5}),
    ("expect_column_mean_to_be_between", {"column": "word", "min_value": 1}),
)


@pytest.fixture
def asked():
    return [Expectation(place, kind, arguments, "here") for place, (kind, arguments) in enumerate(ASKED, 1)]


def test_both_engines_find_the_same(lake, spark_lake, asked):
    here = lake.engine.check(lake.engine.from_arrow(ROWS), asked)
    there = spark_lake.engine.check(spark_lake.engine.from_arrow(ROWS), asked)

    def told(outcomes):
        return [
            (each.passed, each.rows, each.failing_rows, bool(each.problem), sorted(each.examples)) for each in outcomes
        ]

    assert told(there) == told(here)
    assert [each.passed for each in here] == [
        False, False, True, False, False, True, False, False, False, False, True, False
    ]  # fmt: skip
