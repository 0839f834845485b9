"""`name.silver.opinions`: tables and views of other lakes in one query, those that were named and no others."""

from __future__ import annotations

import re
from collections.abc import Mapping

from lakehouse.commits.at import STAND_IN
from lakehouse.engines.tokens import Token, tokens
from lakehouse.errors import ConfigError
from lakehouse.home import Root
from lakehouse.place import located, require_lake
from lakehouse.sql.session import ALL_NAMES
from lakehouse.tables.read import head
from schemas.tables import TABLES

NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
LAYERS = frozenset({table.layer for table in TABLES})

Named = dict[str, tuple[str, Mapping[str, int], str]]
"""Name of ours -> (table or view, table -> the version that it is read at, folder of the lake)."""


def other_lakes(text: str, also: Mapping[str, Root], *, first: int) -> tuple[str, Named]:
    """Return a query with a name of ours for each table or view of another lake, and what these stand for.

    Args:
        text: The query.
        also: Name -> lake.
        first: Number of the first name of ours.

    Raises:
        ConfigError: If a lake is called as no lake can be, or a layer of tables is.
        TableNotFoundError: If there is no lake at a place.
    """
    homes = {}
    for name, root in also.items():
        if not NAME.fullmatch(name) or name in LAYERS or name in ALL_NAMES:
            raise ConfigError(f"{name!r:.80} is no name for a lake: use small letters, digits and _, and no view's")
        homes[name] = located(root)
        require_lake(homes[name])
    encoded, pieces = text.encode(), tokens(text)
    named: Named = {}
    parts, done, place = [], 0, 0
    while place < len(pieces):
        found = _name_at(pieces, place) if pieces[place].text.lower() in homes else None
        # Another name may be the alias of something in the query; if it is none, the gate says so.
        if found is None or found[0] not in ALL_NAMES:
            place += 1
            continue
        home, (table, end) = homes[pieces[place].text.lower()], found
        behind = pieces[end] if end < len(pieces) else None
        if behind is not None and behind.text == ".":  # a column of it: the table goes by its own name there
            parts.append(encoded[done : pieces[place].start])
            done = pieces[end - 1].start
            place = end
            continue
        ours = f"{STAND_IN}{first + len(named)}"
        named[ours] = table, {each.name: head(home, each) for each in TABLES}, str(home.folder)
        has_alias = behind is not None and (behind.is_name or behind.text.lower() == "as")
        alias = "" if has_alias else f" as {table.rpartition('.')[2]}"
        parts += [encoded[done : pieces[place].start], f"{ours}{alias}".encode()]
        done = pieces[end - 1].end
        place = end
    return b"".join([*parts, encoded[done:]]).decode(), named


def _name_at(pieces: list[Token], place: int) -> tuple[str, int] | None:
    """Return the table that is named behind the name of a lake, and the place behind it; None: no table is meant."""
    if place and pieces[place - 1].text == ".":
        return None
    words, at = [], place + 1
    while at + 1 < len(pieces) and pieces[at].text == "." and pieces[at + 1].is_word:
        words.append(pieces[at + 1].text.lower())
        at += 2
    if not words:
        return None
    return (".".join(words[:2]) if words[0] in LAYERS else words[0]), (place + 5 if words[0] in LAYERS else place + 3)
