"""Branches: lines of their own that begin at a commit. Making one writes three small files and no data.

A branch reads the tables of the commit it began at, whoever's they are, until it writes one; see
`lakehouse.tables.fork`. Objects are named by their content and shared by all.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC

from lakehouse.commits.making import commit, versions_now
from lakehouse.commits.manifest import Commit, read_commit
from lakehouse.commits.naming import find_commit
from lakehouse.commits.refs import (
    BRANCHES,
    DELETED,
    HEADS,
    MAIN_BRANCH,
    branches,
    check_name,
    delete_ref,
    head_of,
    keep_ref,
    move_head,
)
from lakehouse.erasures import erased_files
from lakehouse.errors import ConfigError, VersionUnavailableError
from lakehouse.home import Home
from lakehouse.lake import Lake
from lakehouse.lines import BRANCH, MAIN, line_folder
from lakehouse.names import nearest
from lakehouse.verification.forked import ask_again
from lakehouse.verification.places import line_home, place_at, place_of
from lakehouse.verification.tables import live_files, verify_table
from schemas.tables import BY_NAME, TABLES


@dataclass(frozen=True, slots=True)
class Branch:
    """One branch.

    Attributes:
        name: What people call it.
        line: Its line.
        newest: Its newest commit.
        began_at: Id of the commit that it began at; "" of main.
        tables: How many tables of its own it has.
    """

    name: str
    line: int
    newest: Commit | None
    began_at: str
    tables: int


def make_branch(lake: Lake, name: str, at: str = "HEAD") -> Branch:
    """Begin a branch at a commit.

    What the lake has that is in no commit yet is committed first, where the branch begins at its newest commit.

    Args:
        lake: The lake, or a branch of it.
        name: A letter, then up to 63 letters, digits and _, with single dots or dashes between them.
        at: As in `find_commit`.

    Raises:
        ConfigError: If there is such a branch or tag, or no such commit.
        VersionUnavailableError: If files of the commit were removed by `maintain` before.
    """
    start = commit_now(lake) if at == "HEAD" and not lake.home.read_only else find_commit(lake.home, at)
    for table, number in start.pins.items():
        place, version = place_at(lake.home, BY_NAME[table], number)
        verify_table(place, version)
        if (erased := erased_files(lake.home, table)) and any(
            fact.name in erased for fact in live_files(place, version)
        ):
            raise VersionUnavailableError(
                f"branch {name}: rows of {table} were erased since commit {start.commit_id[:8]}, and a branch that "
                "begins there would have them for good; begin at a later commit"
            )
    shared = lake.home.shared
    line = _free_line(shared)
    check_name(shared, BRANCHES, name)
    record = {
        "name": name, "line": line, "commit": start.commit_id, "tables": start.pins,
        "author": lake.config.lake.author, "made_at": lake.clock().astimezone(UTC).isoformat(),
    }  # fmt: skip
    # The name last: until then nobody finds the line, and nobody else takes its number.
    try:
        shared.files.put_if_absent(f"{line_folder(line)}/{BRANCH}", (json.dumps(record) + "\n").encode())
    except FileExistsError:
        return make_branch(lake, name, at)  # somebody began a branch at the same moment
    if not move_head(lake, line, None, start.commit_id):
        raise ConfigError(f"line {line} of {shared} has a commit already; run the command again")
    keep_ref(shared, BRANCHES, name, {"line": line})
    return Branch(name, line, start, start.commit_id, 0)


def commit_now(lake: Lake) -> Commit:
    """Return the newest commit of a line if it is what the line has now; else commit that."""
    before = head_of(lake.home, lake.home.line)
    if before is not None:
        newest = read_commit(lake.home, before)
        if newest.tables == versions_now(lake):
            return newest
    return commit(lake, "what was not committed yet")


def branch_list(home: Home) -> Iterator[Branch]:
    """Yield every branch, main first."""
    ask_again(home)
    for name, line in branches(home).items():
        newest = head_of(home, line)
        there = line_home(home, line)
        own = sum(place_of(there, table).pinned is None for table in TABLES)
        began = "" if line == MAIN else str(_record(home.shared, line)["commit"])
        yield Branch(name, line, read_commit(home, newest) if newest else None, began, own)


def delete_branch(lake: Lake, name: str, *, unmerged: bool = False) -> None:
    """Delete a branch: its name at once, what only it has with the next `maintain`.

    Args:
        lake: The lake.
        name: The branch.
        unmerged: Delete it also where it has commits that main has not.

    Raises:
        ConfigError: If it is main, the branch that is open, or has what main has not.
        VersionUnavailableError: If there is none.
    """
    lines = branches(lake.home)
    if name not in lines:
        raise VersionUnavailableError(f"no branch `{name}` to delete{nearest(name, [*lines])} ({lake.home})")
    if name == MAIN_BRANCH or lines[name] == lake.home.line:
        raise ConfigError(f"branch {name}: it is {'main' if name == MAIN_BRANCH else 'open'} and cannot be deleted")
    if not unmerged:
        from lakehouse.commits.history import before

        newest, main = head_of(lake.home, lines[name]), head_of(lake.home, MAIN)
        merged = {each.commit_id for each in before(lake.home, read_commit(lake.home, main))} if main else set()
        there = lake.on(line_home(lake.home, lines[name]))
        if newest not in merged or newest is None or not _is_all(read_commit(lake.home, newest), there):
            raise ConfigError(
                f"branch {name}: main does not have all that it has; merge it (petrel merge {name}), tag its newest "
                "commit to keep it, or delete it with what it has: --unmerged"
            )
    at = lake.clock().astimezone(UTC).isoformat()
    lake.home.shared.files.put(f"{DELETED}/{lines[name]}.json", (json.dumps({"name": name, "at": at}) + "\n").encode())
    delete_ref(lake.home, BRANCHES, name)


def _is_all(newest: Commit, there: Lake) -> bool:
    """Say whether a commit has all rows that a line has now, in whichever files `maintain` has put them."""
    now = versions_now(there)
    return {name: each.digest for name, each in newest.tables.items()} == {name: now[name].digest for name in now}


def _free_line(shared: Home) -> int:
    # Heads stay when a branch is deleted: commits that were merged tell of its line, so no other gets its number.
    names = (each.name.removeprefix(f"{HEADS}/").removesuffix(".json") for each in shared.files.list(HEADS))
    line = max((int(name) for name in names if name.isdecimal()), default=MAIN) + 1
    while _is_begun(shared, line):
        line += 1
    return line


def _is_begun(shared: Home, line: int) -> bool:
    try:
        shared.files.stat(f"{line_folder(line)}/{BRANCH}")
    except FileNotFoundError:
        return False
    return True


def _record(shared: Home, line: int) -> dict[str, object]:
    return dict(json.loads(shared.files.read_whole(f"{line_folder(line)}/{BRANCH}")))
