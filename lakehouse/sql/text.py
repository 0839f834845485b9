"""What is filled into the text of people's SQL, piece by piece: values for `$name`, our catalogue for DuckDB's.

The rest of the text stays as it was written. A piece inside a string, a comment or a quoted name is none.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial

from lakehouse.engines.gate import check_query
from lakehouse.engines.plain import plain
from lakehouse.engines.tokens import Token, tokens
from lakehouse.engines.tree import nodes, parse
from lakehouse.errors import QueryFailedError

_Edit = Callable[[list[Token], int], tuple[int, str] | None]
"""From the pieces and a place among them to (pieces used, what stands there instead), or None."""

CATALOGUE = "petrel_catalogue"
"""Schema with the tables of `information_schema`, of the granted names alone."""

INFORMATION = frozenset({"information_schema.tables", "information_schema.columns", "information_schema.schemata"})
"""What of `information_schema` may be read."""

SHOW_TABLES = f"select name from {CATALOGUE}.names order by name"


@dataclass(frozen=True, slots=True)
class Question:
    """What will run, and the tables and views that it reads."""

    text: str
    reads: frozenset[str]


def ready(text: str, literals: Mapping[str, str], *, known: Collection[str]) -> Question:
    """Return `text` as it will run: looked at, with its parameters filled in, and looked at again.

    Args:
        text: What a person wrote.
        literals: From `sql_literals`.
        known: Tables and views that may be read.

    Raises:
        QueryRefusedError: If the gate refuses it.
        QueryFailedError: If a parameter has no value.
    """
    own = {name.replace("information_schema", CATALOGUE) for name in INFORMATION} | {f"{CATALOGUE}.names"}
    text = with_own_catalogue(plain(text))
    check_query(text, known={*known, *own})
    text = fill(text, literals)
    return Question(text, check_query(text, known={*known, *own}))


def fill(text: str, literals: Mapping[str, str]) -> str:
    """Return `text` with every `$name` replaced by its literal.

    Raises:
        QueryFailedError: If a parameter has no value.
        QueryRefusedError: If `text` is no query.
    """
    needed = {node["identifier"] for node in nodes(parse(text)) if node.get("class") == "PARAMETER"}
    if spare := sorted(name for name in set(literals) - needed if name.isdecimal()):
        raise QueryFailedError(f"{len(literals)} values were given in order, and the query has no ${spare[0]}")
    given = ", ".join(f"${name}" for name in sorted(literals)) or "none"
    for name in sorted(needed - set(literals)):
        raise QueryFailedError(f"the query needs parameter ${name}, given: {given}")
    return _edited(text, partial(_parameter, literals)) if needed else text


def with_own_catalogue(text: str) -> str:
    """Return `text` with SHOW TABLES and `information_schema` turned to what was granted."""
    pieces = tokens(text)
    words = [piece.text.lower() for piece in pieces]
    while words and words[-1] == ";":
        words.pop()
    if words == ["show", "tables"]:
        return SHOW_TABLES
    return _edited(text, _information)


def _edited(text: str, edit: _Edit) -> str:
    encoded, pieces = text.encode(), tokens(text)
    parts, place, done = [], 0, 0
    while place < len(pieces):
        change = edit(pieces, place)
        if change is None:
            place += 1
            continue
        used, new = change
        parts += [encoded[done : pieces[place].start], new.encode()]
        place += used
        done = pieces[place - 1].end
    return b"".join([*parts, encoded[done:]]).decode()


def _parameter(literals: Mapping[str, str], pieces: list[Token], place: int) -> tuple[int, str] | None:
    """Fill in `$name` and `$1`."""
    here, after = pieces[place], pieces[place + 1] if place + 1 < len(pieces) else None
    if here.text.startswith("$") and here.text[1:].isdecimal():
        return 1, f" {literals[here.text[1:]]} "
    if here.text != "$" or after is None or after.start != here.end:
        return None
    name = next((name for name in literals if name.lower() == after.text.lower()), None)
    # Blanks around it: `a-$n` with -1 would be a comment, `$n::int` stays one value.
    return None if name is None else (2, f" {literals[name]} ")


def _information(pieces: list[Token], place: int) -> tuple[int, str] | None:
    behind = pieces[place + 1].text if place + 1 < len(pieces) else ""
    name = pieces[place].text.lower()
    if name in ("information_schema", '"information_schema"') and behind.startswith("."):
        return 1, CATALOGUE
    return None
