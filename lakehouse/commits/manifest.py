"""One commit: a small immutable object `_commits/<aa>/<id>.json`, named by the hash of what it says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from lakehouse.errors import TableError
from lakehouse.home import Home
from lakehouse.lines import numbered
from loaders.stores.storage import Storage
from schemas.canonical import content_id

COMMITS = "_commits"
FORMAT = 1
SHORTEST_ID = 6
"""Digits of an id that people may write in place of all 32."""


@dataclass(frozen=True, slots=True)
class TableVersion:
    """A table as a commit has it.

    Attributes:
        line: The line whose table it is; see `lakehouse.lines`.
        version: Its Delta version there.
        digest: Number of rows and sums of their hashes, free of order and layout: equal digests, equal content.
    """

    line: int
    version: int
    digest: str

    @property
    def number(self) -> int:
        """The number by which every line knows this version."""
        return numbered(self.line, self.version)

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return int(self.digest.partition("-")[0])


@dataclass(frozen=True, slots=True)
class Commit:
    """The tables of a lake as they were together.

    Attributes:
        commit_id: Content id (32 hex) of everything else here.
        tables: Table -> its version, of every table.
        parents: Ids of the commits that it follows: none of the first, two of a merge, the line's own first.
        message: Why, for people.
        author: Who, for people; "" if nobody said so.
        made_at: When, UTC, ISO 8601.
        branch: The branch that it was made on.
        ordinal: One more than the greatest of its parents; 1 of the first. Clocks go back, this does not.
        step: The step after which it was made by itself; "" if somebody asked for it.
    """

    commit_id: str
    tables: Mapping[str, TableVersion]
    parents: tuple[str, ...]
    message: str
    author: str
    made_at: str
    branch: str
    ordinal: int
    step: str = ""

    @property
    def pins(self) -> dict[str, int]:
        """Table -> the number of its version, as every query takes pins."""
        return {name: each.number for name, each in self.tables.items()}


def made(
    tables: Mapping[str, TableVersion], *, parents: tuple[str, ...], message: str, author: str, made_at: str,
    branch: str, ordinal: int, step: str = "",
) -> Commit:  # fmt: skip
    """Return a commit with its id."""
    commit = Commit("", dict(sorted(tables.items())), parents, message, author, made_at, branch, ordinal, step)
    return replace(commit, commit_id=content_id(_record(commit)))


def keep_commit(files: Storage, commit: Commit) -> None:
    """Write a commit; one that is there says the same."""
    try:
        files.put_if_absent(_name(commit.commit_id), (json.dumps(_record(commit)) + "\n").encode())
    except FileExistsError:
        pass


def read_commit(home: Home, commit_id: str) -> Commit:
    """Return a commit by its whole id.

    Raises:
        FileNotFoundError: If there is none.
        TableError: If it says something else than it is named by.
    """
    return _read(home.shared, commit_id)


def ids_beginning(home: Home, text: str) -> list[str]:
    """Return the ids of all commits that begin so; `text` has at least two digits."""
    found = home.shared.files.list(f"{COMMITS}/{text[:2]}")
    names = (each.name.rpartition("/")[2].removesuffix(".json") for each in found)
    return [name for name in names if name.startswith(text)]


# Commits never change: one that was read is that one for good.
@lru_cache(maxsize=4096)
def _read(home: Home, commit_id: str) -> Commit:
    data = home.files.read_whole(_name(commit_id))
    try:
        record = json.loads(data)
        if record.pop("format") != FORMAT:
            raise ValueError("it was written by a newer version of Petrel")
        tables = {name: TableVersion(int(line), int(version), str(digest))
                  for name, (line, version, digest) in record.pop("tables").items()}  # fmt: skip
        commit = Commit(commit_id, tables, tuple(record.pop("parents")), **record)
        if content_id(_record(commit)) != commit_id:
            raise ValueError("it says something else than it is named by")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TableError(
            f"{home}/{_name(commit_id)}: is no commit ({error}); put it back from a copy of the lake"
        ) from error
    return commit


def _record(commit: Commit) -> dict[str, object]:
    tables = {name: [each.line, each.version, each.digest] for name, each in commit.tables.items()}
    return {"format": FORMAT, "tables": tables, "parents": list(commit.parents), "message": commit.message,
            "author": commit.author, "made_at": commit.made_at, "branch": commit.branch, "ordinal": commit.ordinal,
            "step": commit.step}


def _name(commit_id: str) -> str:
    return f"{COMMITS}/{commit_id[:2]}/{commit_id}.json"
