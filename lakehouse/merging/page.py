"""A difference as a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.merging.comparing import Difference
from lakehouse.pages.document import document, note, sentence, table
from schemas.tables import BY_NAME

SHOWN = 100
"""Rows of each table that a page shows, of those that came and of those that went, on each side."""

LONGEST = 80
"""Letters of a value that are shown."""


def difference_page(
    found: Difference, head: Sequence[str], rows: Sequence[Sequence[object]], *, detailed: bool = False
) -> str:
    """Return a page that needs nothing else: the two commits, what they come from, and what came on either side.

    Args:
        found: The difference; with all columns if it is to be detailed.
        head: Names of the columns of the summary.
        rows: The summary.
        detailed: Show rows too, the first `SHOWN` of each kind, in the order of their keys.
    """
    one, other, ancestor = found.one, found.other, found.ancestor
    told = [[name, each.commit_id, each.branch, each.made_at[:19], each.author, each.message]
            for name, each in (("one", one), ("other", other), ("in common", ancestor))]  # fmt: skip
    parts = [table(["", "commit", "branch", "made at (UTC)", "author", "message"], told)]
    parts += [table(head, rows)] if rows else [sentence("Nothing differs.")]
    for side, tables in (("one", found.ones), ("other", found.others)) if detailed else ():
        for name, each in tables.items():
            for change, some in (("removed", each.removed), ("added", each.added)):
                if some.num_rows:
                    title = escape(f"{name}: {some.num_rows:,} {change} on side {side}")
                    parts += [f"<h2>{title}</h2>", *_rows(name, some)]
    parts.append(note("Counted from the commit that both come from; rows are compared by their content."))
    return document(f"{one.commit_id[:8]} and {other.commit_id[:8]}", parts)


def _rows(name: str, rows: pa.Table) -> Iterator[str]:
    """Yield a table of rows, with the columns in which any of them says something."""
    known = BY_NAME[name]
    place = pc.sort_indices(rows, sort_keys=[(key, "ascending") for key in known.key])
    shown = rows.take(place[:SHOWN])
    names = [column.name for column in known.columns
             if column.name != "row_hash" and shown.column(column.name).null_count < shown.num_rows]  # fmt: skip
    yield table(names, [[_short(row[each]) for each in names] for row in shown.select(names).to_pylist()])
    if rows.num_rows > SHOWN:
        yield note(f"The first {SHOWN} of {rows.num_rows:,}; petrel diff --rows tells all.")


def _short(value: object) -> str:
    text = "" if value is None else str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}\u2026"
