"""The gate for SQL that people write: one read-only query over known tables and views, nothing else."""

from __future__ import annotations

import re
from collections.abc import Collection

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from lakehouse.config import nearest
from lakehouse.errors import QueryRefusedError
from lakehouse.sql.dialect import free_tables

MAX_CHARACTERS = 64 << 10

QUERIES = (exp.Select, exp.SetOperation, exp.Subquery)

FORBIDDEN = (exp.DDL, exp.DML, exp.Command, exp.Set, exp.Attach, exp.Detach, exp.Pragma, exp.Use, exp.Copy, exp.Into,
             exp.TableSample)
"""Nodes that change something, leave the database or answer differently each time, wherever they stand in the tree."""

OUTSIDE = re.compile("Current.*|Session.*|Local.*|Rand.*|Uuid|Read.*|ToFile|Secret|NextValueFor|AI.*|ML.*|Host|NetFunc")
"""Functions that sqlglot has a class for and that read files, tell of the machine or answer differently each time."""

OWN_FUNCTIONS = frozenset({
    "petrel_bucket", "bit_count", "list_sum", "list_avg", "list_min", "list_max", "list_count", "list_distinct",
    "list_sort", "list_has_any", "list_has_all", "list_cosine_similarity", "list_inner_product", "list_distance",
    "map_keys", "map_values", "map_contains", "element_at", "cardinality", "even", "isfinite", "damerau_levenshtein",
    "jaccard", "prefix", "suffix", "len", "kurtosis", "skewness", "mad", "entropy", "median", "mode", "arg_max",
    "arg_min", "struct_extract", "date_part", "list_unique", "list_position", "list_contains", "array_to_string",
    "list_slice", "list_dot_product", "map_entries", "hamming", "histogram", "age",
})
"""Functions allowed by name because sqlglot has no class for them; all pure."""


def check_query(text: str, *, known: Collection[str]) -> exp.Expr:
    """Return the syntax tree of `text` if it may run.

    Args:
        text: SQL in DuckDB's dialect.
        known: Tables and views that may be read.

    Raises:
        QueryRefusedError: If it is not exactly one SELECT over known names, or calls a function that reads
            files, changes something or is not repeatable. The message names the offending part.
    """
    if len(text) > MAX_CHARACTERS:
        raise QueryRefusedError(f"query of {len(text):,} characters; the limit is {MAX_CHARACTERS:,}")
    try:
        statements = [each for each in sqlglot.parse(text, read="duckdb") if each is not None]
    except (SqlglotError, RecursionError) as error:
        raise QueryRefusedError(f"not a query: {str(error)[:500]}") from error
    if len(statements) != 1 or not isinstance(statements[0], QUERIES):
        kinds = ", ".join(type(each).__name__.upper() for each in statements) or "nothing"
        raise QueryRefusedError(f"expected exactly one SELECT, found {kinds}")
    tree = statements[0]
    for node in tree.walk():
        _check_node(node)
    _check_tables(tree, known)
    return tree


def _check_node(node: exp.Expr) -> None:
    if isinstance(node, FORBIDDEN):
        raise QueryRefusedError(f"{type(node).__name__.upper()} is not allowed in a query: {node.sql('duckdb')[:200]}")
    if isinstance(node, exp.Anonymous):
        if node.name.lower() not in OWN_FUNCTIONS:
            like = nearest(node.name, OWN_FUNCTIONS)
            raise QueryRefusedError(f"function {node.name} is not allowed in a query{like}")
    elif isinstance(node, exp.Func) and OUTSIDE.fullmatch(type(node).__name__):
        raise QueryRefusedError(f"{node.sql('duckdb')[:100]} is not allowed: it does not depend on the tables alone")


def _check_tables(tree: exp.Expr, known: Collection[str]) -> None:
    for table in tree.find_all(exp.Table):
        if not isinstance(table.this, exp.Identifier):
            raise QueryRefusedError(f"table functions are not allowed: {table.sql('duckdb')[:200]}")
        if table.catalog:
            raise QueryRefusedError(f"catalogs are not allowed: {table.sql('duckdb')[:200]}")
    for name, _ in free_tables(tree):
        if name not in known:
            raise QueryRefusedError(f"no table or view `{name}`{nearest(name, known)}")
