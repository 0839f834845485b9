"""A difference as SQL: the rows of one table that came and went on either side, for whoever wants to ask more of them.

It names commits by their ids, so that it says the same for good; any query, recipe or saved view may stand on it. It
reads both versions of the table whole, where `comparing.compare` reads the files in which they differ.
"""

from __future__ import annotations

from lakehouse.commits.manifest import Commit

BOTH = (
    "select '{side}' as side, 'removed' as change, r.* from {table}@{ancestor} r "
    "anti join {table}@{commit} other using (row_hash) union all "
    "select '{side}' as side, 'added' as change, r.* from {table}@{commit} r "
    "anti join {table}@{ancestor} other using (row_hash)"
)


def difference_query(ancestor: Commit, one: Commit, other: Commit, table: str) -> str:
    """Return a query for the rows of a table in which two commits differ from what both come from.

    Its columns are side (`one` or `other`), change (`added` or `removed`) and those of the table.

    Args:
        ancestor: The commit that both come from; see `commits.history.common_ancestor`.
        one: A commit.
        other: Another one.
        table: Name of the table.
    """
    parts = [
        BOTH.format(side=side, table=table, ancestor=ancestor.commit_id, commit=commit.commit_id)
        for side, commit in (("one", one), ("other", other))
        if commit.commit_id != ancestor.commit_id
    ]
    none = f"select 'one' as side, 'added' as change, r.* from {table}@{ancestor.commit_id} r where false"
    return " union all ".join(parts or [none])
