"""What differs between two commits of a lake, seen from what they have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.commits.history import common_ancestor
from lakehouse.commits.manifest import Commit
from lakehouse.errors import ConfigError, VersionUnavailableError
from lakehouse.lake import Lake
from lakehouse.merging.changed import Changed, changed_rows
from schemas.tables import ACTORS, BY_NAME, DATASETS, DIMENSIONS, OPINIONS, QUESTIONS, TABLES

WHAT: Mapping[str, str] = {
    OPINIONS.name: "actor_id", DIMENSIONS.name: "dimension", QUESTIONS.name: "question_id", DATASETS.name: "name",
    ACTORS.name: "kind",
}  # fmt: skip
"""Table -> the column by which its rows are counted in a summary; others are counted together."""


@dataclass(frozen=True, slots=True)
class Counted:
    """One line of a summary.

    Attributes:
        side: `one` or `other`: on which of the two, since what they have in common.
        table: Name of the table.
        what: Whose or which: the actor of opinions, the name of a dataset ...; "" for all rows.
        added: Rows that came.
        removed: Rows that are gone.
        superseded: Of opinions: earlier ones that the new ones replace or take back.
    """

    side: str
    table: str
    what: str
    added: int
    removed: int
    superseded: int


@dataclass(frozen=True, slots=True)
class Difference:
    """Two commits and what came on either side.

    Attributes:
        ancestor: The newest commit that both come from.
        one: The first commit.
        other: The second.
        ones: Table -> what the first has since the ancestor, of tables that differ.
        others: The same of the second.
    """

    ancestor: Commit
    one: Commit
    other: Commit
    ones: Mapping[str, Changed]
    others: Mapping[str, Changed]

    def summary(self) -> list[Counted]:
        """Return the counts of both sides, in the order of the tables."""
        return [*_counted("one", self.ones), *_counted("other", self.others)]


def compare(
    lake: Lake, one: Commit, other: Commit, *, tables: Iterable[str] = (), columns: bool = True
) -> Difference:
    """Return what differs between two commits, on both sides of what they have in common.

    Only files are read in which the versions of a table differ: the cost is that of the change, whatever the lake has.

    Args:
        lake: The lake, any line of it.
        one: A commit.
        other: Another one.
        tables: Names of tables; none compares all.
        columns: Read all columns; else those that a summary needs.

    Raises:
        ConfigError: If they have no commit in common.
        VersionUnavailableError: If files of a version were removed since, as nothing kept it.
    """
    ancestor = common_ancestor(lake.home, one, other)
    if ancestor is None:
        raise ConfigError(f"commits {one.commit_id[:8]} and {other.commit_id[:8]} have no commit in common")
    names = set(tables)
    sides = [since(lake, ancestor, each, tables=names, columns=columns, without_erased=True) for each in (one, other)]
    for name in [name for name in BY_NAME if any(name in side and side[name].erased for side in sides)]:
        if not all(name in side and side[name].erased for side in sides):
            raise VersionUnavailableError(
                f"{name}: rows were erased between commits {one.commit_id[:8]} and {other.commit_id[:8]}, and the "
                "files of before are gone; compare commits that were both made after that"
            )
        pair = sides[0][name], sides[1][name]
        sides[0][name], sides[1][name] = (_without(*each) for each in (pair, pair[::-1]))
    return Difference(ancestor, one, other, sides[0], sides[1])


def _without(mine: Changed, their: Changed) -> Changed:
    """Return a side without rows that both have: of files that an erasure wrote anew it is not known who brought them.

    Such rows differ on no side; both lines wrote the files anew, each its own.
    """
    held = their.added.column("row_hash").combine_chunks()
    return replace(mine, added=mine.added.filter(pc.invert(pc.is_in(mine.added.column("row_hash"), value_set=held))))


def since(
    lake: Lake, before: Commit, after: Commit, *, tables: Iterable[str] = (), columns: bool = True,
    without_erased: bool = False,
) -> dict[str, Changed]:
    """Return what came after a commit, by table; of tables whose content differs alone."""
    wanted, found = set(tables), {}
    for table in TABLES:
        was, now = before.tables.get(table.name), after.tables.get(table.name)
        if (wanted and table.name not in wanted) or was is None or now is None or was.digest == now.digest:
            continue
        few = [*table.key, *_needed(table.name), "row_hash"]
        chosen = None if columns else [name for name in table.column_names if name in few]
        found[table.name] = changed_rows(
            lake.home, table, was.number, now.number, columns=chosen, without_erased=without_erased
        )
    return found


def _needed(name: str) -> list[str]:
    return [*([WHAT[name]] if name in WHAT else []), *(["op", "supersedes"] if name == OPINIONS.name else [])]


def _counted(side: str, changed: Mapping[str, Changed]) -> Iterable[Counted]:
    for name, each in changed.items():
        added, removed = _by_what(name, each.added), _by_what(name, each.removed)
        superseded: Counter[str] = Counter()
        if name == OPINIONS.name:
            rows = each.added.select(["actor_id", "op", "supersedes"]).to_pylist()
            for row in rows:
                superseded[row["actor_id"]] += len(row["supersedes"] or ()) + (row["op"] == "retract")
        for what in sorted({*added, *removed}):
            yield Counted(side, name, what, added[what], removed[what], superseded[what])


def _by_what(name: str, rows: pa.Table) -> Counter[str]:
    if not rows.num_rows:
        return Counter()
    if name not in WHAT:
        return Counter({"": rows.num_rows})
    counts = rows.column(WHAT[name]).value_counts().to_pylist()
    return Counter({str(each["values"]): int(each["counts"]) for each in counts})


def key_of(table: str, row: Mapping[str, object]) -> tuple[object, ...]:
    """Return the key of a row."""
    return tuple(row[name] for name in BY_NAME[table].key)
