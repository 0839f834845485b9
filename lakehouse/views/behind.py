"""What stands behind a query: the tables and views that it reads, and the functions over arrays that it calls."""

from __future__ import annotations

from lakehouse.engines import tree as sql_tree
from lakehouse.engines.called import PREFIX
from lakehouse.engines.plain import plain
from lakehouse.tensors.function import ArrayFunction
from lakehouse.tensors.registered import names
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


def functions_of(text: str) -> list[ArrayFunction]:
    """Return the functions over arrays, ours and the user's, that a query calls, by name."""
    nodes = sql_tree.nodes(sql_tree.parse(text))
    called = {str(node["function_name"]).lower() for node in nodes if "function_name" in node}
    if not any(name.startswith(PREFIX) for name in called) and called.isdisjoint(names()):
        return []
    from lakehouse.tensors.registry import functions_in

    return sorted((each for each in functions_in(plain(text)) if each.name in called), key=lambda each: each.name)
