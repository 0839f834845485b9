"""Which tables stand behind a query: those it names, and those that the views it names read."""

from __future__ import annotations

from lakehouse.engines import tree as sql_tree
from lakehouse.views.registry import VIEW_NAMES, view_text, view_texts
from schemas.tables import BY_NAME


def tables_of(text: str, *, but: str = "") -> set[str]:
    """Return the names of the tables behind the tables and views of a query, but for those behind the view `but`."""
    found: set[str] = set()
    for name in sql_tree.tables_read(text):
        if name in BY_NAME:
            found.add(name)
        elif name in view_texts() and name != but:
            found |= tables_of(view_texts()[name], but=but)
    return found


def views_of(text: str) -> dict[str, str]:
    """Return the texts of the views behind a query, by name: those it names, and those that these read."""
    found: dict[str, str] = {}
    for name in sql_tree.tables_read(text):
        if name not in BY_NAME and name in VIEW_NAMES:
            found[name] = view_text(name, asked_by=text)
            found |= views_of(found[name])
    return found
