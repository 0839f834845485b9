"""A comparison as one HTML page: no script, nothing from a network, everything from data as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from lakehouse.comparing.diff import DatasetDiff
from lakehouse.pages.document import document, note, table
from loaders.stores.files import write_durably

MOST_ROWS = 1_000
"""Of a part; the page tells how many there are."""

def write_page(found: DatasetDiff, path: Path) -> None:
    """Write the page; one that is there is replaced, whole or not at all."""
    write_durably(path, _page(found).encode())


def _page(found: DatasetDiff) -> str:
    parts = [_table([{"": side, **version} for side, version in (("old", found.old), ("new", found.new))])]
    parts += ["<h2>Members</h2>", _table([{"": name, "members": count} for name, count in found.counts.items()])]
    for name, rows in found.parts():
        if rows:
            parts += [f"<h2>{escape(name.capitalize())}</h2>", _table(rows)]
    members = found.members.slice(0, MOST_ROWS).to_pylist()
    if members:
        parts += [f"<h2>Members that differ ({len(members):,} of {found.members.num_rows:,})</h2>", _table(members)]
    return document(f"{found.old['name']}: what differs", parts)


def _table(rows: Sequence[Mapping[str, object]]) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row))
    values = ([row.get(name) for name in names] for row in rows[:MOST_ROWS])
    said = table([name.replace("_", " ") for name in names], values)
    return said + (note(f"and {len(rows) - MOST_ROWS:,} more") if len(rows) > MOST_ROWS else "")
