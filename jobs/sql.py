"""Ask the lake in SQL (DuckDB's dialect): one read-only SELECT over its tables and views; no JVM.

    petrel sql --lake my_lake "select label, count(*) as n from current_opinions group by label order by n desc"
    petrel sql --lake my_lake "select * from entities_wide where width > \\$least" --param least=640 --format csv
    petrel sql --lake my_lake "select count(*) as n from entities" --pin silver.entities=3
    petrel sql --lake my_lake --views
"""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.csv

from jobs.common import main_of, pairs
from jobs.output import say, say_json, say_table
from lakehouse.config import Config
from lakehouse.errors import ConfigError
from lakehouse.sql.session import user_query
from lakehouse.sql.views import view_docs
from schemas.tables import TABLES

NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this command takes."""
    parser.add_argument("query", nargs="?", help="one SELECT; `$name` stands for a parameter; - reads it from stdin")
    parser.add_argument("--param", action="append", default=[], metavar="NAME=VALUE", help="value of a parameter")
    parser.add_argument("--pin", action="append", default=[], metavar="TABLE=VERSION", help="read this version")
    parser.add_argument("--format", choices=("table", "json", "csv"), default="table", help="default: table")
    parser.add_argument("--limit", type=int, default=1000, help="rows shown at most; 0 shows all (default: 1000)")
    parser.add_argument("--views", action="store_true", help="list the tables and views")


def execute(config: Config, args: argparse.Namespace) -> int:
    """Run the command."""
    if args.views:
        docs = {table.name: table.doc for table in TABLES} | view_docs()
        say_table(["name", "one row is"], list(docs.items()))
        return 0
    if args.limit < 0:
        raise ConfigError(f"--limit {args.limit}: expected the number of rows to show, or 0 for all")
    if not args.query:
        raise ConfigError("give a query, for example: petrel sql \"select count(*) as n from entities\"; or --views")
    text = sys.stdin.read() if args.query == "-" else args.query
    pins = {name: _version(value) for name, value in pairs("--pin", args.pin).items()}
    params = {name: _value(value) for name, value in pairs("--param", args.param).items()}
    rows = user_query(Path(config.lake.root), text, params=params, pins=pins)
    twice = sorted({name for name in rows.column_names if rows.column_names.count(name) > 1})
    if twice:
        raise ConfigError(f"two columns are called {', '.join(twice)}; give each a name of its own with `as`")
    shown = rows.slice(0, args.limit) if args.limit else rows
    _show(shown, "json" if args.json else args.format)
    if shown.num_rows < rows.num_rows:
        sys.stderr.write(f"petrel: {shown.num_rows:,} of {rows.num_rows:,} rows shown; --limit 0 shows all\n")
    return 0


def _show(rows: pa.Table, form: str) -> None:
    if form == "csv":
        sys.stdout.buffer.write(_csv(rows))
    elif form == "json":
        for row in rows.to_pylist():
            say_json(row)
    else:
        say_table(rows.column_names, [list(row.values()) for row in rows.to_pylist()])
        say(f"({rows.num_rows:,} rows)")


def _csv(rows: pa.Table) -> bytes:
    flat = {name: _plain(rows[name]) for name in rows.column_names}
    sink = pa.BufferOutputStream()
    pa.csv.write_csv(pa.table(flat), sink)
    return bytes(sink.getvalue())


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray | pa.Array:
    # CSV has no maps, lists and intervals: they become their JSON-like text.
    if pa.types.is_nested(column.type) or pa.types.is_interval(column.type):
        return pa.array([None if value is None else str(value) for value in column.to_pylist()], pa.string())
    return column


def _version(text: str) -> int:
    if not text.isdecimal():
        raise ConfigError(f"--pin: expected a version number, found {text!r}")
    return int(text)


def _value(text: str) -> object:
    # Only what a number looks like: 007, 1_000, nan and 12e3456 are texts, as an identifier may be.
    if NUMBER.fullmatch(text) and math.isfinite(float(text)):
        return int(text) if text.lstrip("-").isdigit() else float(text)
    return text


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
