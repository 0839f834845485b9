"""Every function over arrays says what NumPy says, in DuckDB and in Spark."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.engines.allowed import ARRAYS
from lakehouse.engines.array_functions import define_in_duckdb, define_in_spark
from lakehouse.errors import ConfigError
from lakehouse.tensors.decoding import Decoder
from lakehouse.tensors.registry import BUILT_IN
from tests.lanes import examples
from tests.tensors.answers import CASES, check_answers, draw_rows

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROWS = 25


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:", config={"threads": 1}) as opened:
        define_in_duckdb(opened, BUILT_IN.values(), Decoder())
        yield opened


def test_every_function_has_answers_and_the_gate_names_it() -> None:
    assert set(CASES) == set(BUILT_IN)
    assert ARRAYS.split() == list(BUILT_IN)


@pytest.mark.parametrize("name", list(BUILT_IN))
def test_duckdb_says_what_numpy_says(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    @settings(max_examples=examples(1, long=40), database=None, derandomize=True)
    @given(seed=st.integers(0, 2**32))
    def check(seed: int) -> None:
        arguments, answers = draw_rows(name, seed, ROWS)
        connection.register("given_rows", arguments)
        found = connection.execute(f"select {name}({', '.join(arguments.column_names)}) as y from given_rows")
        check_answers(name, arguments, found.to_arrow_table()["y"].to_pylist(), answers)

    check()


@pytest.mark.spark
def test_spark_says_what_numpy_says_of_all_functions_in_one_query(spark: SparkSession) -> None:
    define_in_spark(spark, BUILT_IN.values(), Decoder())
    with pytest.raises(ConfigError, match="`nvl`: Spark has a function of that name"):
        define_in_spark(spark, [replace(BUILT_IN["nd_sum"], name="nvl")], Decoder())
    drawn = {name: draw_rows(name, 7, examples(ROWS, long=1000)) for name in BUILT_IN}
    columns: dict[str, pa.ChunkedArray] = {}
    calls = []
    for name, (arguments, _) in drawn.items():
        names = [f"{name}_{each}" for each in arguments.column_names]
        columns |= dict(zip(names, arguments.columns, strict=True))
        calls.append(f"{name}({', '.join(names)}) as {name}")
    spark.createDataFrame(pa.table(columns)).createOrReplaceTempView("tensor_rows")
    found = spark.sql(f"select {', '.join(calls)} from tensor_rows").toArrow()
    for name, (arguments, answers) in drawn.items():
        check_answers(name, arguments, found[name].to_pylist(), answers)
