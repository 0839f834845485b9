"""The functions over arrays that a text of SQL calls, defined when it does: they load NumPy, which few need."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from lakehouse.errors import TensorError, one_line
from lakehouse.tensors.registered import called_in

if TYPE_CHECKING:
    import duckdb
    from pyspark.sql import SparkSession

    from lakehouse.home import Root
    from lakehouse.tensors.function import ArrayFunction

PREFIX = "nd_"
"""How the names of the functions over arrays begin: neither DuckDB nor Spark has any that begins so."""

Defined: TypeAlias = "dict[str, ArrayFunction]"
"""Functions that are defined in a connection or session, by name."""

MARK = "TensorError: "


def define_called_in_duckdb(
    connection: duckdb.DuckDBPyConnection, text: str, root: Root | None, defined: Defined
) -> None:
    """Define what a query may call in a connection; `defined` is what is there, and is added to.

    A function that was written anew since, in a notebook say, takes the place of the one before.
    """
    wanted = _called(text, defined)
    if wanted:
        from lakehouse.engines.array_functions import decoder_of, define_in_duckdb

        for each in wanted:
            if each.name in defined:
                connection.remove_function(each.name)
        define_in_duckdb(connection, wanted, decoder_of(root))
        defined.update((each.name, each) for each in wanted)


def define_called_in_spark(session: SparkSession, text: str, root: Root | None, defined: Defined) -> None:
    """`define_called_in_duckdb`, in a session of Spark."""
    wanted = _called(text, defined)
    if wanted:
        from lakehouse.engines.array_functions import decoder_of, define_in_spark

        define_in_spark(session, wanted, decoder_of(root))
        defined.update((each.name, each) for each in wanted)


def define_all_in_duckdb(connection: duckdb.DuckDBPyConnection, root: Root) -> None:
    """Define every function in a connection, for statements that nobody has seen."""
    from lakehouse.engines.array_functions import decoder_of, define_in_duckdb
    from lakehouse.tensors.registry import all_functions

    define_in_duckdb(connection, all_functions(), decoder_of(root))


def define_all_in_spark(session: SparkSession, root: Root) -> None:
    """`define_all_in_duckdb`, in a session of Spark."""
    from lakehouse.engines.array_functions import decoder_of, define_in_spark
    from lakehouse.tensors.registry import all_functions

    define_in_spark(session, all_functions(), decoder_of(root))


def tensor_error(message: str) -> TensorError | None:
    """Return the error of a function over arrays that an engine tells of; None: it tells of another."""
    if MARK not in message:
        return None
    # Both engines add where in Python it was raised.
    told = message.split(MARK, 1)[1].partition("\n")[0]
    return TensorError(one_line(told, limit=600))


def _called(text: str, defined: Defined) -> list[ArrayFunction]:
    if PREFIX not in text.lower() and not called_in(text):
        return []
    from lakehouse.tensors.registry import functions_in

    return [each for each in functions_in(text) if defined.get(each.name) is not each]
