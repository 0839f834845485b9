"""Making commits: by itself after each step that changed something, and whenever somebody asks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC

from lakehouse.commits.manifest import Commit, TableVersion, keep_commit, made, read_commit
from lakehouse.commits.refs import head_of, move_head
from lakehouse.errors import ConcurrentWriteError
from lakehouse.lake import Lake
from lakehouse.lines import parted
from lakehouse.tables.inserted import Inserted
from lakehouse.tables.read import digest_at, head, whole
from lakehouse.verification.places import place_of
from schemas.model import Table
from schemas.tables import BY_NAME, TABLES

ATTEMPTS = 20
"""How often a head is tried to be moved that others move too: each time somebody has moved it."""


def commit(lake: Lake, message: str, *, parents: Iterable[str] = ()) -> Commit:
    """Commit the tables of a lake as they are now.

    Nothing happens if they are as in the newest commit, and it was asked for too: that one is returned.

    Args:
        lake: The lake, or a branch of it.
        message: Why, for people.
        parents: Further commits that it stands for, as a merge does.

    Raises:
        ConcurrentWriteError: If others kept committing.
        TableError: If a table is damaged.
    """
    others = tuple(parents)
    for _ in range(ATTEMPTS):
        before = head_of(lake.home, lake.home.line)
        tables = versions_now(lake)
        if before is not None and not others:
            newest = read_commit(lake.home, before)
            if newest.tables == tables and not newest.step:
                return newest
        found = _made(lake, tables, ((before,) if before else ()) + others, message)
        keep_commit(lake.home.shared.files, found)
        if move_head(lake, lake.home.line, before, found.commit_id):
            return found
    raise _busy(lake)


def commit_step(lake: Lake, step: str, writes: Iterable[Inserted]) -> Commit | None:
    """Commit what a step has written, after the newest commit; None if that has it all.

    What other steps are writing meanwhile is left to them. The first commit of a lake has all of its tables.
    """
    changed = {each.table: each for each in writes if each.version_after != each.version_before}
    if not changed:
        return None
    for _ in range(ATTEMPTS):
        before = head_of(lake.home, lake.home.line)
        if before is None:
            tables = versions_now(lake)
        else:
            tables = dict(read_commit(lake.home, before).tables)
            for name, each in changed.items():
                if _is_later(tables.get(name), lake.home.line, each.version_after):
                    tables[name] = TableVersion(lake.home.line, each.version_after, each.digest)
            if tables == read_commit(lake.home, before).tables:
                return None  # somebody committed it by hand meanwhile, as a merge does
        new = ", ".join(f"{each.rows_new:,} {name}" for name, each in sorted(changed.items()) if each.rows_new)
        found = _made(lake, tables, (before,) if before else (), f"{step}: {new or 'no new rows'}", step)
        keep_commit(lake.home.shared.files, found)
        if move_head(lake, lake.home.line, before, found.commit_id):
            return found
    raise _busy(lake)


def commit_removed(lake: Lake, step: str) -> Commit | None:
    """Commit what a step took out of tables, after the newest commit; None if there is none, or that has it all."""
    before = head_of(lake.home, lake.home.line)
    if before is None:
        return None
    was, now = read_commit(lake.home, before).tables, versions_now(lake)
    return commit_step(lake, step, [
        Inserted(name, was[name].version if name in was else -1, each.version, 0, 0, each.digest)
        for name, each in now.items() if was.get(name) != each and each.line == lake.home.line
    ])  # fmt: skip


def versions_now(lake: Lake) -> dict[str, TableVersion]:
    """Return every table as it is now, each verified."""
    # What is made of others first: of rows that are written meanwhile, none then points at one that is left out.
    found = {table.name: version_now(lake, table) for table in reversed(TABLES)}
    return {table.name: found[table.name] for table in TABLES}


def version_now(lake: Lake, table: Table) -> TableVersion:
    """Return a table as it is now."""
    place, version = place_of(lake.home, table), whole(lake, table, head(lake.home, table))
    return TableVersion(place.home.line, version, str(digest_at(lake, table, version)))


def versions_of(lake: Lake, pins: Mapping[str, int]) -> dict[str, TableVersion]:
    """Return tables at versions that numbers tell, as a commit would have them."""
    found = {}
    for name, number in pins.items():
        line, version = parted(number)
        digest = digest_at(lake, BY_NAME[name], number)
        found[name] = TableVersion(line or place_of(lake.home, BY_NAME[name]).home.line, version, str(digest))
    return found


def _is_later(held: TableVersion | None, line: int, version: int) -> bool:
    return held is None or (held.line == line and held.version < version) or (held.line != line)


def _made(
    lake: Lake, tables: Mapping[str, TableVersion], parents: tuple[str, ...], message: str, step: str = ""
) -> Commit:
    ordinal = 1 + max((read_commit(lake.home, each).ordinal for each in parents), default=0)
    return made(
        tables, parents=parents, message=message, author=lake.config.lake.author,
        made_at=lake.clock().astimezone(UTC).isoformat(), branch=lake.home.branch, ordinal=ordinal, step=step,
    )  # fmt: skip


def _busy(lake: Lake) -> ConcurrentWriteError:
    return ConcurrentWriteError(
        f"{lake.home}: {ATTEMPTS} attempts to commit met commits of others; what was written stays, and the next "
        "commit has it: run `petrel commit` again"
    )
