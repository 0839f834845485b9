"""One SQL text, two engines: names, parameters and our own functions are filled in on the syntax tree.

Texts are written in DuckDB's dialect. These functions are ours, because no built-in means the same in both:

- `petrel_bucket(id, seed)`: integer in [0, 2**52), the first 52 bits of `md5(id || '|' || seed)`.
- `petrel_half(row_hash, 1 | 2)`: the first or second 64 bits of a hex hash as an unsigned number, for digests.
- `petrel_votes(label, votes)`: aggregate; a map from label to votes.
- `petrel_said(label, votes)`: aggregate; a list of structs of k (label) and v (votes, an exact decimal).
- `petrel_totals(said)`: of such a list one struct for each label, with the sum of its votes as a negative number: most
  votes first, equal ones by label.
- `petrel_leading(totals)`: how many labels of such a list have as many votes as its first.
- `petrel_total_votes(totals, most)`: a map from label to votes of such a list, as a bigint of at most `most`.

The last four are one pass over the answers where a grouping by label, windows over it and a grouping of these were
three: 0.7 of the processor [3 million].
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

import sqlglot
from sqlglot import exp
from sqlglot.errors import ErrorLevel, UnsupportedError

from lakehouse.engines.plain import plain
from lakehouse.params import array_sql, is_array

# It warns of every statement that it cannot take apart; the gate refuses these, with a message.
logging.getLogger("sqlglot").setLevel(logging.ERROR)

Function = Callable[[list[exp.Expr]], str]


def _duckdb_half(args: list[exp.Expr]) -> str:
    return f"cast(('0x' || substr({_sql(args[0], 'duckdb')}, {_offset(args[1])}, 16)) as ubigint)"


def _spark_half(args: list[exp.Expr]) -> str:
    return f"cast(conv(substr({_sql(args[0], 'spark')}, {_offset(args[1])}, 16), 16, 10) as decimal(20, 0))"


def _duckdb_bucket(args: list[exp.Expr]) -> str:
    identity, seed = (_sql(arg, "duckdb") for arg in args)
    return f"cast(('0x' || substr(md5({identity} || '|' || {seed}), 1, 13)) as bigint)"


def _spark_bucket(args: list[exp.Expr]) -> str:
    identity, seed = (_sql(arg, "spark") for arg in args)
    return f"cast(conv(substr(md5({identity} || '|' || {seed}), 1, 13), 16, 10) as bigint)"


def _duckdb_votes(args: list[exp.Expr]) -> str:
    label, votes = (_sql(arg, "duckdb") for arg in args)
    return f"map_from_entries(list(struct_pack(k := {label}, v := cast({votes} as bigint))))"


def _spark_votes(args: list[exp.Expr]) -> str:
    label, votes = (_sql(arg, "spark") for arg in args)
    return f"map_from_entries(collect_list(struct({label}, cast({votes} as bigint))))"


def _spark_element(args: list[exp.Expr]) -> str:
    values, place = (_sql(arg, "spark") for arg in args)
    return f"try_element_at({values}, cast({place} as int))"


def _duckdb_said(args: list[exp.Expr]) -> str:
    label, votes = (_sql(arg, "duckdb") for arg in args)
    return f"list(struct_pack(k := {label}, v := cast({votes} as decimal(19, 0))))"


def _spark_said(args: list[exp.Expr]) -> str:
    label, votes = (_sql(arg, "spark") for arg in args)
    return f"collect_list(named_struct('k', {label}, 'v', cast({votes} as decimal(19, 0))))"


def _duckdb_totals(args: list[exp.Expr]) -> str:
    said = _sql(args[0], "duckdb")
    return (
        f"list_sort(list_transform(list_distinct(list_transform({said}, lambda x: x.k)), lambda l: struct_pack("
        f"v := -list_sum(list_transform(list_filter({said}, lambda y: y.k = l), lambda y: y.v)), k := l)))"
    )


def _spark_totals(args: list[exp.Expr]) -> str:
    said, nothing = _sql(args[0], "spark"), "cast(0 as decimal(38, 0))"
    return (
        f"array_sort(transform(array_distinct(transform({said}, x -> x.k)), l -> named_struct('v', -aggregate("
        f"filter({said}, y -> y.k = l), {nothing}, (a, y) -> cast(a + y.v as decimal(38, 0))), 'k', l)))"
    )


def _duckdb_leading(args: list[exp.Expr]) -> str:
    totals = _sql(args[0], "duckdb")
    return f"cast(len(list_filter({totals}, lambda t: t.v = {totals}[1].v)) as bigint)"


def _spark_leading(args: list[exp.Expr]) -> str:
    totals = _sql(args[0], "spark")
    return f"cast(size(filter({totals}, t -> t.v = {totals}[0].v)) as bigint)"


def _duckdb_total_votes(args: list[exp.Expr]) -> str:
    totals, most = (_sql(arg, "duckdb") for arg in args)
    entry = f"struct_pack(k := t.k, v := cast(least(-t.v, {most}) as bigint))"
    return f"map_from_entries(list_transform({totals}, lambda t: {entry}))"


def _spark_total_votes(args: list[exp.Expr]) -> str:
    totals, most = (_sql(arg, "spark") for arg in args)
    return f"map_from_entries(transform({totals}, t -> struct(t.k, cast(least(-t.v, {most}) as bigint))))"


FUNCTIONS: Mapping[str, Mapping[str, Function]] = {
    "duckdb": {
        "petrel_half": _duckdb_half, "petrel_bucket": _duckdb_bucket, "petrel_votes": _duckdb_votes,
        "petrel_said": _duckdb_said, "petrel_totals": _duckdb_totals, "petrel_leading": _duckdb_leading,
        "petrel_total_votes": _duckdb_total_votes,
    },
    "spark": {
        "petrel_half": _spark_half, "petrel_bucket": _spark_bucket, "petrel_votes": _spark_votes,
        "petrel_said": _spark_said, "petrel_totals": _spark_totals, "petrel_leading": _spark_leading,
        "petrel_total_votes": _spark_total_votes,
        "list_extract": _spark_element,
    },
}


KEPT = 1024
"""So many bound texts are kept, a few MB; an import asks sixty."""

_STAND_IN = "petrel_name_"
_kept: dict[tuple[object, ...], _Bound] = {}


@dataclass(frozen=True, slots=True)
class _Bound:
    """A bound text without the names of its tables.

    Attributes:
        pieces: What stands between the names, one more than there are names.
        names: Names of the tables as the text has them, in the order of the bound text.
    """

    pieces: tuple[str, ...]
    names: tuple[str, ...]


@lru_cache(maxsize=KEPT)
def table_names(text: str) -> frozenset[str]:
    """Return the names of the tables and views that `text` reads, in lower case, without its own CTEs."""
    return frozenset(name for name, _ in free_tables(_parse(text)))


def free_tables(tree: exp.Expr) -> list[tuple[str, exp.Table]]:
    """Return (name in lower case, node) of every table that no CTE in sight defines."""
    found = []
    for node in tree.find_all(exp.Table):
        if not isinstance(node.this, exp.Identifier):
            continue
        name = f"{node.db}.{node.name}".lower() if node.db else node.name.lower()
        if node.db or name not in _ctes_in_sight(node):
            found.append((name, node))
    return found


def bind(text: str, names: Mapping[str, str], params: Mapping[str, object], *, dialect: str) -> str:
    """Return `text` with every table name, `$parameter` and function of ours filled in, in `dialect`.

    Args:
        text: One query in DuckDB's dialect.
        names: Table name as the text has it -> name in the engine.
        params: Parameter name -> Python value; becomes a literal, never SQL.
        dialect: `duckdb` or `spark`.

    Raises:
        KeyError: If a table or parameter of the text was not given; the message lists what was.
        ValueError: If `text` has something that cannot be taken apart, or that `dialect` has no words for.
    """
    if "@" in text:
        plain(text)  # anew each time: the version of a function that it asks for may be another by now
    told = sorted((name, repr(value)) for name, value in params.items())
    if _STAND_IN in text or _STAND_IN in str(told):
        return _bound(text, names, params, dialect)
    read = sorted(table_names(text))
    if not names.keys() >= set(read):
        return _bound(text, names, params, dialect)  # which says what is missing
    # A step asks the same texts again and again, of relations with other names each time: filled in on the syntax tree
    # each time, that was 0.14 of the 0.50 CPU seconds of a small import.
    key = (text, dialect, *told)
    found = _kept.get(key)
    if found is None:
        stand_ins = {name: f"{_STAND_IN}{place}_" for place, name in enumerate(read)}
        parts = re.split(f"{_STAND_IN}([0-9]+)_", _bound(text, stand_ins, params, dialect))
        found = _Bound(tuple(parts[::2]), tuple(read[int(place)] for place in parts[1::2]))
        if len(_kept) >= KEPT:
            _kept.clear()
        _kept[key] = found
    filled = (name + piece for name, piece in zip(
        (_table(names[name], dialect) for name in found.names), found.pieces[1:], strict=True
    ))  # fmt: skip
    return found.pieces[0] + "".join(filled)


@lru_cache(maxsize=4 * KEPT)
def _table(name: str, dialect: str) -> str:
    return exp.to_table(name, dialect=dialect).sql(dialect=dialect)


def _bound(text: str, names: Mapping[str, str], params: Mapping[str, object], dialect: str) -> str:
    tree = _parse(text).copy()
    unread = next(tree.find_all(exp.Command), None)
    if unread is not None:
        raise ValueError(f"cannot take apart `{unread.sql('duckdb')[:200]}`")
    for name, node in free_tables(tree):
        if name not in names:
            raise KeyError(f"query reads `{name}`, which is not among {sorted(names)}: {text}")
        if not node.args.get("alias"):
            node.set("alias", exp.TableAlias(this=exp.to_identifier(node.name)))
        # The name alone: whatever else stands behind a table (columns, joins, pivots, versions) stays on its node.
        replacement = exp.to_table(names[name], dialect=dialect)
        for part in ("this", "db", "catalog"):
            node.set(part, replacement.args.get(part))
    for column in tree.find_all(exp.Column):
        # `silver.entities.entity_id`: the table goes by its alias now.
        for part in ("db", "catalog"):
            column.set(part, None)
    for placeholder in list(tree.find_all(exp.Placeholder)):
        name = placeholder.name
        if name not in params:
            raise KeyError(f"query needs parameter ${name}, given {sorted(params)}: {text}")
        placeholder.replace(literal(params[name]))
    _fill_functions(tree, dialect)
    if dialect == "spark":
        for cte in tree.find_all(exp.CTE):
            cte.set("materialized", None)  # Spark plans by itself whether to keep one
        tree = _without_percents(tree)
    try:
        return tree.sql(dialect=dialect, unsupported_level=ErrorLevel.RAISE)
    except UnsupportedError as error:
        raise ValueError(f"{dialect} has no words for a part of this query ({error}): {text}") from error


def _without_percents(tree: exp.Expr) -> exp.Expr:
    """Return a tree in which `limit 10 percent` is said by the places of rows: Spark has no such limit."""
    for limit in list(tree.find_all(exp.Limit)):
        options = limit.args.get("limit_options")
        query = limit.parent
        if options is None or not options.args.get("percent") or query is None:
            continue
        offset = query.args.get("offset")
        skipped = 0 if offset is None else int(offset.expression.name)
        query.set("limit", None)
        query.set("offset", None)
        rows = f"floor(petrel_rows * cast({_sql(limit.expression, 'spark')} as double) / 100)"
        # Rows that were put in order have rising ids; a window over the order itself would need its columns.
        whole = sqlglot.parse_one(
            "select * except (petrel_at, petrel_row, petrel_rows) from ("
            "select *, row_number() over (order by petrel_at) as petrel_row, count(*) over () as petrel_rows "
            "from (select *, monotonically_increasing_id() as petrel_at "
            "from (petrel_query) as petrel_inner) as petrel_told) as petrel_cut "
            f"where petrel_row > {skipped} and petrel_row <= {skipped} + {rows} order by petrel_row",
            read="spark",
        )
        hole = next(each for each in whole.find_all(exp.Table) if each.name == "petrel_query")
        ctes = query.args.get("with_")
        outer = query is tree
        below = query.copy()
        if ctes is not None and outer:
            below.set("with_", None)
            whole.set("with_", ctes.copy())
        inner = exp.Subquery(this=below, alias=exp.TableAlias(this=exp.to_identifier("petrel_inner")))
        (hole.parent if isinstance(hole.parent, exp.Subquery) else hole).replace(inner)
        if outer:
            tree = whole
        else:
            query.replace(whole)
    return tree


def literal(value: object) -> exp.Expr:
    """Return `value` as a literal: null, boolean, number, text, UTC timestamp or a list of these."""
    if isinstance(value, datetime):
        text = value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f+00:00")
        return exp.cast(exp.Literal.string(text), "timestamptz", dialect="duckdb")
    if isinstance(value, dict) and is_array(value):
        return sqlglot.parse_one(array_sql(value), read="duckdb")
    if isinstance(value, list | tuple | frozenset | set) and not value:
        # `in ()` is an error in both engines, `in (null)` is neither true nor false.
        return exp.paren(sqlglot.parse_one("select null where false", read="duckdb"))
    if isinstance(value, list | tuple | frozenset | set):
        return exp.Tuple(expressions=[literal(item) for item in sorted(value, key=repr)])
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"no SQL literal for {value}")
        # A bare 0.1 is a decimal in both engines, with rules of its own.
        return exp.cast(exp.Literal.number(repr(value)), "double", dialect="duckdb")
    if value is None or isinstance(value, bool | int | str):
        return exp.convert(value)
    raise TypeError(f"no SQL literal for {type(value).__name__}: {value!r}")


@lru_cache(maxsize=256)
def _parse(text: str) -> exp.Expr:
    return sqlglot.parse_one(plain(text), read="duckdb")


def _sql(node: exp.Expr, dialect: str) -> str:
    return node.sql(dialect=dialect)


def _offset(half: exp.Expr) -> int:
    return 1 + 16 * (int(half.name) - 1)


def _ctes_in_sight(node: exp.Expr) -> set[str]:
    """Names that mean a CTE where `node` stands: a CTE sees those before it, itself only when recursive."""
    names: set[str] = set()
    child: exp.Expr | None = None
    here: exp.Expr | None = node
    while here is not None:
        if isinstance(here, exp.With):
            place = next(place for place, cte in enumerate(here.expressions) if cte is child)
            names.update(_aliases(here, place + 1 if here.args.get("recursive") else place))
        else:
            own = here.args.get("with_")
            # Coming up out of the WITH itself: what is in sight there was added one step before.
            if own is not None and own is not child:
                names.update(_aliases(own, None))
        child, here = here, here.parent
    return names


def _aliases(ctes: exp.Expr, number: int | None) -> list[str]:
    return [cte.alias.lower() for cte in ctes.expressions[:number]]


def _fill_functions(tree: exp.Expr, dialect: str) -> None:
    for call in list(tree.find_all(exp.Anonymous)):
        function = FUNCTIONS[dialect].get(call.name.lower())
        if function is not None:
            call.replace(sqlglot.parse_one(function(call.expressions), read=dialect))
