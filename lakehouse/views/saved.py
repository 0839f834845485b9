"""Saved views: texts of people's that a lake holds under names, which SQL reads as it reads our own views.

A name in a query stands for its text, which is put in front of the query as a CTE. So whatever looks at a query sees
the whole of it: the gate, the pins of a stream, both engines.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from lakehouse.commits.at import without_commits
from lakehouse.engines.gate import check_query
from lakehouse.engines.plain import plain
from lakehouse.engines.tokens import tokens
from lakehouse.engines.tree import nodes, parse, tables_read
from lakehouse.errors import QueryRefusedError
from lakehouse.home import Home
from lakehouse.tables.read import head, open_table
from lakehouse.verification.places import place_at
from lakehouse.verification.tables import verify_table
from schemas.tables import SAVED_VIEWS

MADE = 1
"""Version of the table without rows: what makes it, then what adds its constraints."""

SHOWN = frozenset({"describe", "summarize"})
"""Words that may stand before a query, or before the name of what it reads."""


def saved_texts(home: Home, *, pins: Mapping[str, int] | None = None) -> dict[str, str]:
    """Return the text of every saved view, by name.

    Args:
        home: The lake.
        pins: Table -> version; `gold.saved_views` is read at its own, else as it is now.

    Raises:
        TableError: If the table is damaged.
    """
    version = (pins or {}).get(SAVED_VIEWS.name)
    version = head(home, SAVED_VIEWS) if version is None else version
    if version <= MADE:
        return {}
    verify_table(*place_at(home, SAVED_VIEWS, version))
    rows = open_table(home, SAVED_VIEWS, version).to_pyarrow_dataset().to_table(columns=["name", "ordinal", "sql"])
    held: dict[str, tuple[int, str | None]] = {}
    for row in rows.to_pylist():
        if row["ordinal"] > held.get(row["name"], (0, None))[0]:
            held[row["name"]] = row["ordinal"], row["sql"]
    return {name: text for name, (_, text) in sorted(held.items()) if text is not None}


def with_saved(home: Home, text: str, *, pins: Mapping[str, int] | None = None) -> str:
    """Return a query in which the saved views that it reads are CTEs; one that reads none, as it is.

    Raises:
        QueryRefusedError: If a view reads itself by way of others, or the query has a CTE of the name of one.
        TableError: If the table of views is damaged.
    """
    texts = saved_texts(home, pins=pins)
    return expanded(text, texts) if _may_read(text, texts) else text


def expanded(text: str, texts: Mapping[str, str], *, above: tuple[str, ...] = ()) -> str:
    """`with_saved`, of these views.

    Args:
        text: The query.
        texts: Name -> text.
        above: Views that it is the text of.

    Raises:
        QueryRefusedError: As `with_saved`.
    """
    read = sorted(_free(text) & texts.keys())
    if not read:
        return text
    for name in read:
        if name in above:
            raise QueryRefusedError(f"the saved view `{name}` reads itself: {' -> '.join([*above, name])}")
    text = plain(text).strip().rstrip(";").rstrip()
    clash = sorted({each["key"].lower() for each in _ctes(text)} & set(read))
    if clash:
        raise QueryRefusedError(
            f"the query has a WITH called `{clash[0]}`, which is a saved view that it reads too; give it another name"
        )
    parts = ", ".join(
        f"{name} as not materialized (\n{plain(expanded(texts[name], texts, above=(*above, name)))}\n)" for name in read
    )
    return _in_front(text, parts)


def gated(name: str, texts: Mapping[str, str]) -> str:
    """Return the text of a saved view for where no gate looks at the whole query: somebody else may have written it.

    Raises:
        QueryRefusedError: If the gate refuses it, or as `with_saved`.
    """
    text = expanded(texts[name], texts, above=(name,))
    bare = without_commits(text)
    check_query(bare, known=tables_read(bare))
    return text


def _may_read(text: str, names: Collection[str]) -> bool:
    return not set(re.findall(r"[a-z][a-z0-9_]*", text.lower())).isdisjoint(names)


def _free(text: str) -> frozenset[str]:
    try:
        return tables_read(without_commits(text))
    except QueryRefusedError:
        return frozenset()  # whoever runs it says why it is none


def _ctes(text: str) -> list[dict[str, str]]:
    root = parse(without_commits(text))
    return [each for node in nodes(root) for each in (node.get("cte_map") or {}).get("map", ())]


def _in_front(text: str, parts: str) -> str:
    encoded, pieces = text.encode(), tokens(text)
    words = [piece.text.lower() for piece in pieces[:4]]
    place = 1 if words[0] in SHOWN else 0
    behind = encoded[pieces[place].start :].decode()
    before = encoded[: pieces[place].start].decode()
    if words[place] == "with":
        last = place + (1 if words[place + 1] == "recursive" else 0)
        end = pieces[last].end
        return f"{encoded[:end].decode()} {parts}, {encoded[end:].decode().lstrip()}"
    if place and len(pieces) == 2:
        behind = f"select * from {behind}"
    return f"{before}with {parts}\n{behind}"
