"""Clauses at the end of a query that DuckDB has not, each said in SQL that both engines have.

    <query> SAMPLE BY weight [WITH REPLACEMENT] [KEY column] SEED n LIMIT rows      `lakehouse.engines.sampling`
    <query> EXPAND BY before, after [ACROSS column, ...] ORDER column               and their neighbours
    <query> GROUP ACROSS column, ... ORDER column                                   rows to sequences
    <query> UNGROUP BY column, ...                                                  and back

Several may follow each other: each works on the rows that the text before it gives.
"""

from __future__ import annotations

import itertools

from lakehouse.engines.clause import Clause, alone, outside
from lakehouse.engines.sampling import sampled
from lakehouse.engines.tokens import tokens
from lakehouse.errors import QueryRefusedError

STARTS = (("sample", "by"), ("expand", "by"), ("ungroup", "by"), ("group", "across"))

EXPAND = "SELECT columns FROM ... WHERE condition EXPAND BY before, after [ACROSS column, ...] ORDER column"
GROUP = "SELECT columns by name FROM ... GROUP ACROSS column, ... ORDER column"
UNGROUP = "<query> UNGROUP BY column, ..., of lists that are equally long"

MOST_NEIGHBOURS = 1_000_000
AFTER_WHERE = frozenset("group having qualify order limit offset union intersect except window".split())
"""Words behind which a query is more than rows that meet a condition."""


def without_clauses(text: str) -> str:
    """Return a text in DuckDB's own SQL.

    Raises:
        QueryRefusedError: If a clause is not whole; the message says how it is written.
    """
    encoded, pieces = text.encode(), tokens(text)
    while pieces and pieces[-1].text == ";":
        pieces.pop()
    words = [piece.text.lower() for piece in pieces]
    places = [at for at in outside(words) if tuple(words[at : at + 2]) in STARTS]
    if not places:
        return text
    if places[0] == 0:
        raise QueryRefusedError(f"{' '.join(words[:2]).upper()} stands behind a query")
    query = encoded[: pieces[places[0]].start].decode().rstrip()
    written = query
    for at, end in itertools.pairwise([*places, len(pieces)]):
        clause = Clause(query, written, tuple(pieces[at + 2 : end]), encoded, at == places[0])
        made = {"sample": sampled, "expand": _expanded, "group": _grouped, "ungroup": _ungrouped}[words[at]]
        query = made(clause)
        # What comes out of a clause has the columns that went in, under names that only GROUP ACROSS needs to see.
        written = written if words[at] in ("sample", "expand") else query
    return query


def _expanded(clause: Clause) -> str:
    words = [piece.text.lower() for piece in clause.tail]
    if len(words) < 3 or words[1] != "," or not (words[0] + words[2]).isdecimal():
        raise QueryRefusedError(f"EXPAND BY needs how many rows before and after: {EXPAND}")
    before, after = int(words[0]), int(words[2])
    if max(before, after) > MOST_NEIGHBOURS:
        raise QueryRefusedError(f"EXPAND BY {before:,}, {after:,}: at most {MOST_NEIGHBOURS:,} rows")
    across, order = _across_and_order(clause, 3, EXPAND)
    marked = _marked(clause)
    keys = ", ".join([*across, order])
    parted = f"partition by {', '.join(across)} " if across else ""
    hit = alone(keys, "petrel_hit", "EXPAND BY needs an ORDER")
    near = f"max(petrel_hit) over ({parted}order by {order} rows between {after} preceding and {before} following)"
    return f"""select * exclude (petrel_hit, petrel_near) from (
select *, {near} as petrel_near from (
select * exclude (petrel_hit), {hit} as petrel_hit from (
{marked}
) as petrel_given) as petrel_told) as petrel_pool where petrel_near = 1 order by {keys}"""


def _marked(clause: Clause) -> str:
    """Return the query before an EXPAND BY with all rows, and which of them meet its condition."""
    if not clause.is_first:
        raise QueryRefusedError(f"EXPAND BY is the first clause behind a query: {EXPAND}")
    encoded, pieces = clause.query.encode(), tokens(clause.query)
    words = [piece.text.lower() for piece in pieces]
    places = outside(words)
    selects = [at for at in places if words[at] == "select"]
    first = min(selects, default=0)
    froms = [at for at in places if at > first and words[at] == "from" and words[at - 1] != "distinct"]
    wheres = [at for at in places if words[at] == "where"]
    others = [at for at in places if words[at] in AFTER_WHERE]
    if len(selects) != 1 or not froms or len(wheres) != 1 or wheres[0] < froms[0]:
        raise QueryRefusedError(f"EXPAND BY stands behind one SELECT with a WHERE: {EXPAND}")
    if others or words[selects[0] + 1] == "distinct":
        word = words[others[0]] if others else "distinct"
        raise QueryRefusedError(f"EXPAND BY stands behind a condition alone, found {word.upper()}: {EXPAND}")
    start, where = pieces[froms[0]].start, pieces[wheres[0]]
    condition = encoded[where.end :].decode().strip()
    hit = f", case when ({condition}\n) then 1 else 0 end as petrel_hit "
    return encoded[:start].decode().rstrip() + hit + encoded[start : where.start].decode().rstrip()


def _grouped(clause: Clause) -> str:
    across, order = _across_and_order(clause, -1, GROUP)
    if not across:
        raise QueryRefusedError(f"GROUP ACROSS needs a column whose equal values make a sequence: {GROUP}")
    if _bare(order) in map(_bare, across):
        raise QueryRefusedError(f"GROUP ACROSS {order} needs another ORDER column than those that are equal: {GROUP}")
    names = _names(clause.written)
    if lacking := [name for name in (*across, order) if _bare(name) not in map(_bare, names)]:
        raise QueryRefusedError(f"GROUP ACROSS: the query gives no column {lacking[0]}: {GROUP}")
    others = [name for name in names if _bare(name) not in map(_bare, across)]
    first = alone(", ".join([*across, order]), f"row_number() over (partition by {', '.join(across)} order by {order})",
                  "GROUP ACROSS needs an ORDER")
    parts = ", ".join(f"{name} := {name}" for name in others)
    frame = "rows between unbounded preceding and unbounded following"
    window = f"(partition by {', '.join(across)} order by {order} {frame})"
    lists = ", ".join(f"list_transform(petrel_rows, lambda petrel_row: petrel_row.{name}) as {name}" for name in others)
    return f"""select {', '.join(across)}, {lists} from (
select {', '.join(across)}, list(struct_pack({parts})) over {window} as petrel_rows, {first} as petrel_first from (
{clause.query}
) as petrel_given) as petrel_sequences where petrel_first = 1 order by {', '.join(across)}"""


def _ungrouped(clause: Clause) -> str:
    names, rest = _listed(clause, 0)
    if not names or rest != len(clause.tail):
        raise QueryRefusedError(f"UNGROUP BY needs the columns to take apart: {UNGROUP}")
    lengths = [f"array_length({name})" for name in names]
    differ = " or ".join(f"{lengths[0]} is distinct from {each}" for each in lengths[1:])
    told = f"' values in {_bare(names[0])}, in the others of UNGROUP BY another number'"
    told = f"coalesce(cast({lengths[0]} as varchar), 'no') || {told}"
    length = f"case when {differ} then cast({told} as bigint) else {lengths[0]} end" if differ else lengths[0]
    values = ", ".join(f"list_extract({name}, petrel_i) as {name}" for name in names)
    return f"""select * exclude ({', '.join(names)}, petrel_i), {values} from (
select *, unnest(range(1, {length} + 1)) as petrel_i from (
{clause.query}
) as petrel_given) as petrel_parts"""


def _across_and_order(clause: Clause, place: int, use: str) -> tuple[list[str], str]:
    """Return the columns of `[ACROSS column, ...] ORDER column` from a place of the tail on; -1: ACROSS is said."""
    words = [piece.text.lower() for piece in clause.tail]
    across: list[str] = []
    if place < 0:
        across, place = _listed(clause, 0)
    elif words[place : place + 1] == ["across"]:
        across, place = _listed(clause, place + 1)
    by = place + 2 if words[place : place + 2] == ["order", "by"] else place + 1
    order, end = _listed(clause, by) if words[place : place + 1] == ["order"] else ([], 0)
    if len(order) != 1 or end != len(words):
        raise QueryRefusedError(f"one ORDER column is wanted at the end: {use}")
    return across, order[0]


def _listed(clause: Clause, place: int) -> tuple[list[str], int]:
    """Return the names from a place on, separated by commas, and the place behind them."""
    found: list[str] = []
    while place < len(clause.tail) and clause.tail[place].is_word and clause.tail[place].text.lower() != "order":
        found.append(clause.tail[place].text)
        place += 1
        if place >= len(clause.tail) or clause.tail[place].text != ",":
            break
        place += 1
    return found, place


def _names(query: str) -> list[str]:
    """Return the columns of a query as its select list names them."""
    pieces = tokens(query)
    words = [piece.text.lower() for piece in pieces]
    places = outside(words)
    first = next((at for at in places if words[at] == "select"), None)
    if first is None:
        raise QueryRefusedError(f"GROUP ACROSS stands behind a SELECT: {GROUP}")
    last = next((at for at in places if at > first and words[at] == "from" and words[at - 1] != "distinct"), len(words))
    splits = [at for at in places if first < at < last and words[at] == ","]
    found = []
    for start, end in itertools.pairwise([first, *splits, last]):
        item = pieces[start + 1 : end]
        is_column = bool(item) and all(
            piece.text == "." if at % 2 else piece.is_word for at, piece in enumerate(item)
        )
        named = len(item) > 2 and item[-2].text.lower() == "as"
        if not (len(item) % 2 and is_column) and not named:
            told = " ".join(piece.text for piece in item)[:80]
            raise QueryRefusedError(f"GROUP ACROSS needs a name for each column: give `{told}` one with `as`: {GROUP}")
        found.append(item[-1].text)
    return found


def _bare(name: str) -> str:
    return name.strip('"').replace('""', '"').lower()
