"""`name@commit` in SQL: a table or view as a commit has it, beside others as they are now or as others have them.

DuckDB knows no such thing, and the rest of the text is its own. So each `name@commit` becomes a name of ours that
stands for the table or view at the versions of that commit, and nothing else of the text is touched.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from lakehouse.commits.naming import find_commit
from lakehouse.engines.tokens import Token, tokens
from lakehouse.errors import ConfigError
from lakehouse.home import Home
from lakehouse.names import nearest

REF = re.compile(r"@(\{[^{}]*\}|[A-Za-z0-9_]+(?:[.-][A-Za-z0-9_]+)*)(~\d{1,6})?")
"""What may follow a name; a dot or dash at its end is the text's."""

STAND_IN = "petrel_at_"


@dataclass(frozen=True, slots=True)
class AtCommits:
    """A query in which no commit is named any more.

    Attributes:
        text: The query.
        named: Name of ours -> (table or view, table -> number of the version that it is read at).
    """

    text: str
    named: Mapping[str, tuple[str, Mapping[str, int]]]


def at_commits(home: Home, text: str, *, known: Collection[str], first: int = 0) -> AtCommits:
    """Return a query with a name of ours for each `name@commit` of a known table or view.

    Args:
        home: The lake.
        text: The query.
        known: Names of tables and views.
        first: Number of the first name of ours: how many others the query has already.

    Raises:
        ConfigError: If no commit is called so, or no table or view; the message names the nearest.
        VersionUnavailableError: If there was no commit yet at a time.
    """
    named: dict[str, tuple[str, Mapping[str, int]]] = {}

    def ours(name: str, ref: str) -> str:
        if name not in known:
            raise ConfigError(f"no table or view `{name}` to read {ref}{nearest(name, sorted(known))}")
        stand_in = f"{STAND_IN}{first + len(named)}"
        named[stand_in] = name, find_commit(home, ref).pins
        return stand_in

    return AtCommits(_named_anew(text, ours), named)


def without_commits(text: str) -> str:
    """Return a text that DuckDB parses, with a name that nothing has for each `name@commit`; no commit is looked up."""
    return _named_anew(text, lambda name, ref: f"{STAND_IN}any")


def _named_anew(text: str, ours: Callable[[str, str], str]) -> str:
    """Return a text with another name for each `name@commit`, of which `ours` is told both parts."""
    if "@" not in text:
        return text
    encoded, pieces = text.encode(), tokens(text)
    parts, done = [], 0
    for place, piece in enumerate(pieces):
        if piece.text != "@" or piece.start < done or not place or pieces[place - 1].end != piece.start:
            continue
        if _is_call(pieces, place):
            continue  # the version of a function, `box_error@3(a, b)`
        found = REF.match(encoded[piece.start :].decode())
        begin, name = _dotted(pieces, place)
        if found is None or not name:
            continue
        end = piece.start + len(found[0].encode())
        alias = "" if _has_alias(pieces, end) else f" as {name.rpartition('.')[2]}"
        parts += [encoded[done : pieces[begin].start], f"{ours(name, found[0])}{alias}".encode()]
        done = end
    return b"".join([*parts, encoded[done:]]).decode()


def split_name(home: Home, name: str) -> tuple[str, dict[str, int]]:
    """Return a table or view and the versions to read of `name@commit`; of a name without one, none."""
    base, at, ref = name.partition("@")
    return (base, find_commit(home, ref).pins) if at else (name, {})


def _dotted(pieces: list[Token], place: int) -> tuple[int, str]:
    """Return where the name before a place begins, and the name; "" if there is none."""
    first = place - 1
    if not pieces[first].is_word:
        return first, ""
    while first >= 2 and pieces[first - 1].text == "." and pieces[first - 1].start == pieces[first - 2].end:
        first -= 2
    return first, "".join(each.text for each in pieces[first:place]).lower()


def _is_call(pieces: list[Token], place: int) -> bool:
    behind = pieces[place + 1 : place + 3]
    return len(behind) == 2 and behind[0].text.isdecimal() and behind[1].text == "("


def _has_alias(pieces: list[Token], end: int) -> bool:
    after = next((each for each in pieces if each.start >= end), None)
    return after is not None and (after.is_name or after.text.lower() == "as")
