"""`name@commit` in SQL: a table or view as a commit has it, beside others as they are now or as others have them.

DuckDB knows no such thing, and the rest of the text is its own. So each `name@commit` becomes a name of ours that
stands for the table or view at the versions of that commit, and nothing else of the text is touched.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
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


@dataclass(frozen=True, slots=True)
class NamedCommits:
    """A query in which names of ours stand for each `name@commit`, before anybody asked which commit that is.

    Attributes:
        text: The query.
        named: Name of ours -> (table or view, the commit as the text names it, with its `@`).
    """

    text: str
    named: Mapping[str, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class _Naming:
    """One `name@commit`: where the name, its `@` and what follows begin in the encoded text."""

    name: str
    ref: str
    start: int
    at: int
    end: int
    alias: str


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
    found = commits_named(text, known=known, first=first)
    return AtCommits(found.text, {ours: (name, find_commit(home, ref).pins)
                                  for ours, (name, ref) in found.named.items()})  # fmt: skip


def commits_named(text: str, *, known: Collection[str], first: int = 0) -> NamedCommits:
    """Return what `at_commits` does as far as no lake has to be asked.

    Raises:
        ConfigError: If there is no such table or view; the message names the nearest.
    """
    encoded, named, parts, done = text.encode(), dict[str, tuple[str, str]](), list[bytes](), 0
    for each in _known(text, known):
        ours = f"{STAND_IN}{first + len(named)}"
        named[ours] = each.name, each.ref
        parts += [encoded[done : each.start], f"{ours}{each.alias}".encode()]
        done = each.end
    return NamedCommits(b"".join([*parts, encoded[done:]]).decode(), named)


def with_ids(home: Home, text: str, *, known: Collection[str]) -> str:
    """Return a query that names each commit by its whole id: what a branch, `HEAD` or a time means now.

    Raises like `at_commits`.
    """
    return with_names(text, lambda ref: f"@{find_commit(home, ref).commit_id}", known=known)


def with_names(text: str, named: Callable[[str], str], *, known: Collection[str]) -> str:
    """Return a query with another name of each commit, both with their `@`; raises like `commits_named`."""
    encoded, parts, done = text.encode(), list[bytes](), 0
    for each in _known(text, known):
        parts += [encoded[done : each.at], named(each.ref).encode()]
        done = each.end
    return b"".join([*parts, encoded[done:]]).decode()


def without_commits(text: str) -> str:
    """Return a text that DuckDB parses, with a name that nothing has for each `name@commit`; no commit is looked up."""
    encoded, parts, done = text.encode(), list[bytes](), 0
    for each in _namings(text):
        parts += [encoded[done : each.start], f"{STAND_IN}any{each.alias}".encode()]
        done = each.end
    return b"".join([*parts, encoded[done:]]).decode()


def _known(text: str, known: Collection[str]) -> Iterator[_Naming]:
    for each in _namings(text):
        if each.name not in known:
            raise ConfigError(f"no table or view `{each.name}` to read {each.ref}{nearest(each.name, sorted(known))}")
        yield each


def _namings(text: str) -> Iterator[_Naming]:
    if "@" not in text:
        return
    encoded, pieces, done = text.encode(), tokens(text), 0
    for place, piece in enumerate(pieces):
        if piece.text != "@" or piece.start < done or not place or pieces[place - 1].end != piece.start:
            continue
        if _is_call(pieces, place):
            continue  # the version of a function, `box_error@3(a, b)`
        found = REF.match(encoded[piece.start :].decode())
        begin, name = _dotted(pieces, place)
        if found is None or not name:
            continue
        done = piece.start + len(found[0].encode())
        alias = "" if _has_alias(pieces, done) else f" as {name.rpartition('.')[2]}"
        yield _Naming(name, found[0], pieces[begin].start, piece.start, done, alias)


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
