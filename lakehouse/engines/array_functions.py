"""Functions over arrays in a connection of DuckDB and in a session of Spark: both call the same code with batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lakehouse.errors import ConfigError
from lakehouse.home import Root
from lakehouse.tensors.batches import Decode, called
from lakehouse.tensors.decoding import Decoder
from lakehouse.tensors.function import RESULTS, ArrayFunction

if TYPE_CHECKING:
    import duckdb
    from pyspark.sql import SparkSession


def define_in_duckdb(
    connection: duckdb.DuckDBPyConnection, functions: Iterable[ArrayFunction], decode: Decode
) -> None:
    """Define functions in a connection; they take arguments of any type, and see what they are."""
    # Its types know no function of any number of arguments.
    define: Any = connection.create_function
    for each in functions:
        if not each.name.startswith("nd_"):
            _check_free(connection, each.name)
        define(
            each.name, _of_duckdb(each, decode), None, RESULTS[each.result][1], type="arrow", null_handling="special",
            side_effects=not each.deterministic,
        )  # fmt: skip


def _check_free(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Refuse a name that DuckDB has: it would mean another thing in SQL of others, and in the gate."""
    found = connection.execute(f"SELECT 1 FROM duckdb_functions() WHERE function_name = '{name}' LIMIT 1").fetchone()
    if found is not None:
        raise ConfigError(f"SQL function `{name}`: DuckDB has a function of that name; give yours another")


def _of_duckdb(function: ArrayFunction, decode: Decode) -> Callable[..., Any]:
    # DuckDB evaluates annotations: it gets none.
    return lambda *columns: called(function, columns, decode)


def define_in_spark(session: SparkSession, functions: Iterable[ArrayFunction], decode: Decode) -> None:
    """Define functions in a session, under the same names."""
    from pyspark.sql.pandas import functions as spark_functions

    # Its types are those of Spark 3.
    made: Any = spark_functions
    for each in functions:
        if not each.name.startswith("nd_"):
            _check_free_in_spark(session, each.name)
        udf = made.arrow_udf(_of_spark(each, decode), RESULTS[each.result][2])
        session.udf.register(each.name, udf if each.deterministic else udf.asNondeterministic())


def _check_free_in_spark(session: SparkSession, name: str) -> None:
    """Refuse a name that Spark has: it would mean another thing in every query of the session."""
    if session.sql(f"SHOW SYSTEM FUNCTIONS LIKE '{name}'").take(1):
        raise ConfigError(f"SQL function `{name}`: Spark has a function of that name; give yours another")


def _of_spark(function: ArrayFunction, decode: Decode) -> Callable[..., Any]:
    def call(*columns: Any) -> Any:
        return called(function, columns, decode)

    # By these Spark knows that it gets columns of Arrow.
    call.__annotations__ = {"columns": pa.Array, "return": pa.Array}
    return call


def decoder_of(root: Root | None) -> Decoder:
    """Return what decodes entities of a lake, and files; without a lake files alone."""
    if root is None:
        return Decoder()
    from lakehouse.tensors.opening import LakeBytes

    return Decoder(LakeBytes(root))
