"""Ask the lake in SQL (DuckDB's dialect): one read-only question over its tables and views; no JVM.

    petrel sql --lake my_lake "select label, count(*) as n from current_opinions group by label order by n desc"
    petrel sql --lake my_lake "select * from entities_wide where width > \\$least" --param least=640 --format csv
    petrel sql --lake my_lake "select count(*) as n from entities" --pin silver.entities=3
    petrel sql --lake my_lake "select * from labels" --output labels.parquet
    petrel sql --lake my_lake "select label, count(*) as n from current_opinions group by 1 order by n desc" --plot
    petrel sql --lake my_lake --views; petrel sql --lake my_lake --views labels
    petrel sql --lake my_lake "explain select count(*) from entities"
    petrel sql --lake my_lake "select count(*) from entities join old.entities o using (entity_id)" --also old=old_lake
    petrel sql --lake my_lake "create dataset wide as select entity_id, width from entities_wide where width > 640"

DESCRIBE, SUMMARIZE, SHOW TABLES and information_schema tell what there is; `petrel views` saves questions under names.
`create dataset` writes a recipe (--recipe FILE, else NAME.toml) and builds it; all else only reads. A question runs in
a process of its own that is stopped after --timeout seconds and gets --memory-mb of memory; Ctrl-C stops it at once.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.common import main_of, pairs, parameters
from jobs.output import say, say_json, say_table
from jobs.rows import show_rows, write_rows
from lakehouse.config import MIN_SQL_MB, Config, SqlConfig
from lakehouse.errors import ConfigError
from lakehouse.place import find_home
from lakehouse.sql.contained import Answer, open_query

if TYPE_CHECKING:
    import pyarrow as pa

CREATE = re.compile(r"\s*create\s+dataset\s+(\S+)\s+as\s+(.+)", re.IGNORECASE | re.DOTALL)
"""DuckDB has no CREATE DATASET."""
SHOWN_ROWS = 1000
FORMS = ("table", "json", "csv", "parquet")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this command takes."""
    parser.add_argument("query", nargs="?", help="one SELECT; `$name` stands for a parameter; - reads it from stdin")
    parser.add_argument(
        "--param", action="append", default=[], metavar="NAME=VALUE", help="value of a parameter; of `?`: 1=VALUE"
    )
    parser.add_argument("--pin", action="append", default=[], metavar="TABLE=VERSION", help="read this version")
    parser.add_argument(
        "--also", action="append", default=[], metavar="NAME=LAKE", help="read another lake too: NAME.silver.entities"
    )
    parser.add_argument("--recipe", metavar="FILE", help="of `create dataset`: where to (default: NAME.toml)")
    parser.add_argument("--format", choices=FORMS, help="default: table, for a file what its name ends with")
    parser.add_argument("--output", metavar="FILE", type=Path, help="write all rows into a file, whole or not at all")
    parser.add_argument("--limit", type=int, help=f"rows at most; 0: all (default: {SHOWN_ROWS}, with --output all)")
    parser.add_argument("--wide", action="store_true", help="show long values whole on a terminal too")
    parser.add_argument("--plot", action="store_true", help="draw a bar for each row, as long as its last number")
    parser.add_argument("--timeout", type=float, metavar="SECONDS", help="stop after that (default: sql.timeout_s)")
    parser.add_argument("--memory-mb", type=int, metavar="MB", help="memory of its process (default: sql.memory_mb)")
    parser.add_argument(
        "--views", nargs="?", const="", metavar="NAME", help="list the tables and views, or the columns of one"
    )


def execute(config: Config, args: argparse.Namespace) -> int:
    """Run the command."""
    form = _form(args)
    if args.views is not None:
        return _views(args.views, as_json=form == "json")
    limit = args.limit if args.limit is not None else 0 if args.output else SHOWN_ROWS
    if limit < 0:
        raise ConfigError(f"--limit {limit}: expected the number of rows to show, or 0 for all")
    if not args.query:
        raise ConfigError("give a query, for example: petrel sql \"select count(*) as n from entities\"; or --views")
    text = sys.stdin.read() if args.query == "-" else args.query
    pins = {name: _version(value) for name, value in pairs("--pin", args.pin).items()}
    params = parameters(args.param)
    if found := CREATE.fullmatch(text):
        return _create(config, args, found[1], found[2].strip().rstrip(";"), params)
    if args.recipe:
        raise ConfigError("--recipe belongs to `create dataset NAME as select ...`")
    # One more than is shown tells whether there are more.
    first = None if limit == 0 else limit if args.output else limit + 1
    limits = _limits(config, args)
    with open_query(
        find_home(config), text, params=params, pins=pins, limits=limits, engine=config.engine, first=first,
        also=pairs("--also", args.also),
    ) as answer:
        _check_names(answer)
        if args.output is not None:
            rows = write_rows(answer, form, args.output)
            sys.stderr.write(f"petrel: {rows:,} rows written to {args.output}\n")
            return 0
        found = answer.table()
    if args.plot:
        return _plot(found, limit)
    show_rows(found.slice(0, limit) if limit else found, form, wide=args.wide)
    if limit and found.num_rows > limit:
        sys.stderr.write(f"petrel: the first {limit:,} rows are shown, there are more; --limit 0 shows all\n")
    return 0


def _create(
    config: Config, args: argparse.Namespace, name: str, text: str, params: dict[str, object]
) -> int:
    from jobs.output import say_receipt
    from lakehouse.materialise.creating import create_dataset
    from lakehouse.opening import open_lake

    if args.pin or args.also or args.output or args.limit is not None or args.plot:
        raise ConfigError("create dataset: takes --param and --recipe; what it reads is pinned by the build")
    path = args.recipe or f"{name}.toml"
    with open_lake(config) as lake:
        say_receipt(create_dataset(lake, name, text, recipe=path, params=params), as_json=args.json)
    sys.stderr.write(f"petrel: its recipe is {path}\n")
    return 0


def _plot(found: pa.Table, limit: int) -> int:
    from jobs.drawing import bars

    rows = found.slice(0, limit).to_pylist() if limit else found.to_pylist()
    lines = bars(rows)
    if rows and not lines:
        raise ConfigError(f"--plot: no column of {', '.join(found.column_names)} holds numbers")
    for line in lines:
        say(line)
    if limit and found.num_rows > limit:
        sys.stderr.write(f"petrel: the first {limit:,} rows are drawn, there are more; --limit 0 takes all\n")
    return 0


def _form(args: argparse.Namespace) -> str:
    if args.json and args.format not in (None, "json"):
        raise ConfigError(f"--json and --format {args.format}: give one of them")
    ending = "" if args.output is None else args.output.suffix.removeprefix(".").lower()
    given = "json" if args.json else args.format or {"jsonl": "json"}.get(ending, ending) or "table"
    if args.output is not None and given not in ("parquet", "json", "csv"):
        raise ConfigError(f"--output {args.output}: give --format parquet, json or csv")
    if args.output is None and given == "parquet":
        raise ConfigError("--format parquet: needs a file; give --output FILE")
    return str(given)


def _limits(config: Config, args: argparse.Namespace) -> SqlConfig:
    limits = config.sql
    if args.timeout is not None:
        # Not `<= 0`, which is false for NaN.
        if not args.timeout > 0:
            raise ConfigError(f"--timeout {args.timeout}: expected seconds above 0")
        limits = dataclasses.replace(limits, timeout_s=args.timeout)
    if args.memory_mb is not None:
        if args.memory_mb < MIN_SQL_MB:
            raise ConfigError(f"--memory-mb {args.memory_mb}: expected at least {MIN_SQL_MB}")
        limits = dataclasses.replace(limits, memory_mb=args.memory_mb)
    return limits


def _check_names(answer: Answer) -> None:
    _check_fields(list(answer.schema), "two columns are")


def _check_fields(fields: Sequence[pa.Field], what: str) -> None:
    names = [field.name for field in fields]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        called = ", ".join(twice) if any(twice) else "nothing"
        raise ConfigError(f"{what} called {called}; give each a name of its own with `as`, in a struct {{'name': ...}}")
    for field in fields:
        children = [field.type.field(place) for place in range(field.type.num_fields)]
        _check_fields(children, f"in {field.name}: two fields are")


def _views(name: str, *, as_json: bool) -> int:
    from lakehouse.sql.columns import describe

    found = describe(name or None)
    if as_json:
        for each in found:
            say_json(dataclasses.asdict(each))
    elif name:
        say_table(["column", "type", "meaning"], [[each.name, each.type, each.doc] for each in found[0].columns])
    else:
        say_table(
            ["name", "one row is", "columns"],
            [[each.name, each.doc, ", ".join(column.name for column in each.columns)] for each in found],
        )
    return 0


def _version(text: str) -> int:
    if not text.isdecimal():
        raise ConfigError(f"--pin: expected a version number, found {text!r}")
    return int(text)


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
