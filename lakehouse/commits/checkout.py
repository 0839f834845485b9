"""Which line of a lake is worked on: main, a branch, or what a commit holds, to read.

Nothing of a lake says so, and no file beside it: it is the setting `lake.branch` of whoever opens the lake, as --branch
gives it, or PETREL__LAKE__BRANCH of a shell. Two people, or two windows, never change it for one another.
"""

from __future__ import annotations

from dataclasses import replace

from lakehouse.commits.naming import find_commit
from lakehouse.commits.refs import branches
from lakehouse.errors import VersionUnavailableError
from lakehouse.home import Home
from lakehouse.names import nearest
from lakehouse.verification.places import line_home


def checked_out(home: Home, name: str) -> Home:
    """Return the home of a branch, or of the lake as a commit has it.

    Args:
        home: Of the lake.
        name: A branch; with an `@` in front whatever names a commit, and what is opened may then only be read.

    Raises:
        ConfigError: If no commit is called so.
        VersionUnavailableError: If there is no such branch.
    """
    if name.startswith("@"):
        commit = find_commit(home, name)
        pins = tuple(sorted(commit.pins.items()))
        return replace(home, main=home.shared, pins=pins, read_only=name, branch=commit.branch)
    lines = branches(home)
    if name not in lines:
        raise VersionUnavailableError(
            f"no branch `{name}` in the lake {home}{nearest(name, [*lines])}; `petrel branch {name}` makes it, and "
            f"`--branch @{name}` reads a commit or tag"
        )
    return line_home(home, lines[name])
