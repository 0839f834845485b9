"""A difference as a page."""

from __future__ import annotations

from collections.abc import Sequence

from lakehouse.merging.comparing import Difference
from lakehouse.pages.document import document, note, sentence, table


def difference_page(found: Difference, head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a page that needs nothing else: the two commits, what they come from, and what came on either side."""
    one, other, ancestor = found.one, found.other, found.ancestor
    told = [[name, each.commit_id, each.branch, each.made_at[:19], each.author, each.message]
            for name, each in (("one", one), ("other", other), ("in common", ancestor))]  # fmt: skip
    parts = [table(["", "commit", "branch", "made at (UTC)", "author", "message"], told)]
    parts += [table(head, rows)] if rows else [sentence("Nothing differs.")]
    parts.append(note("Counted from the commit that both come from; rows are compared by their content."))
    return document(f"{one.commit_id[:8]} and {other.commit_id[:8]}", parts)
