"""How people name a commit: its id or how that begins, a tag, a branch for its newest, a time, or HEAD and HEAD~2."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time

from lakehouse.commits.manifest import SHORTEST_ID, Commit, ids_beginning, read_commit
from lakehouse.commits.refs import HEAD, branches, head_of, tags
from lakehouse.errors import ConfigError, VersionUnavailableError
from lakehouse.home import Home
from lakehouse.names import nearest
from lakehouse.verification.places import place_of
from schemas.tables import BY_NAME

ID = re.compile(r"[0-9a-f]{6,32}")
BACK = re.compile(r"(.+?)~(\d{1,6})")


def find_commit(home: Home, name: str) -> Commit:
    """Return the commit that a name means on a line.

    Args:
        home: Of the lake, or of a branch: HEAD and times are of its line.
        name: `3f2c91`, `paper`, `relabel`, `{2026-01-31}`, `{2026-01-31T12:00:00Z}`, `HEAD`, each also with `~2` for
            the second before it; an `@` in front is left out. A time means the newest commit no later; a day without
            a time, its end, UTC.

    Raises:
        ConfigError: If nothing is called so, or several; the message names the nearest.
        VersionUnavailableError: If there was no commit yet at that time.
    """
    text = name.removeprefix("@")
    if back := BACK.fullmatch(text):
        found = find_commit(home, back[1])
        for _ in range(int(back[2])):
            if not found.parents:
                raise VersionUnavailableError(f"@{text}: there are not so many commits before {back[1]} ({home})")
            found = read_commit(home, found.parents[0])
        return found
    if text.startswith("{") and text.endswith("}"):
        return _at(home, text[1:-1])
    if text == HEAD:
        return newest_commit(home)
    lines, marked = branches(home), tags(home)
    if text in lines:
        return _newest(home, lines[text], text)
    if text in marked:
        return read_commit(home, str(marked[text]["commit"]))
    if ID.fullmatch(text):
        ids = ids_beginning(home, text)
        if len(ids) == 1:
            return read_commit(home, ids[0])
        if ids:
            raise ConfigError(f"@{text}: {len(ids)} commits begin so; write more of the id ({home})")
    raise ConfigError(
        f"@{text}: no commit, tag or branch is called so{nearest(text, [*lines, *marked, HEAD])}; ids of commits have "
        f"{SHORTEST_ID} hex digits or more, times are written @{{2026-01-31}}; `petrel log` shows them ({home})"
    )


def pins_at(home: Home, name: str) -> dict[str, int]:
    """Return table -> version of a commit as a line counts them: plain where the table is this line's own.

    Raises like `find_commit`.
    """
    found = {}
    for table, each in find_commit(home, name).tables.items():
        own = place_of(home, BY_NAME[table]).home.line == each.line
        found[table] = each.version if own else each.number
    return found


def newest_commit(home: Home) -> Commit:
    """Return the newest commit of a line, or the one that a lake was opened as; raises like `find_commit`."""
    if home.read_only:
        return find_commit(home.shared, home.read_only)
    return _newest(home, home.line, home.branch)


def parse_time(text: str) -> datetime:
    """Return a time that people wrote, UTC where it names no zone; a day alone is its last microsecond.

    Raises:
        ConfigError: If it is none.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(
            f"@{{{text}}}: is no time; expected @{{2026-01-31}} or @{{2026-01-31T12:00:00Z}}"
        ) from error
    if _is_day(text):
        found = datetime.combine(found, time.max)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _at(home: Home, text: str) -> Commit:
    asked = parse_time(text)
    found: Commit | None = newest_commit(home)
    while found is not None and datetime.fromisoformat(found.made_at) > asked:
        first = found
        found = read_commit(home, found.parents[0]) if found.parents else None
    if found is None:
        raise VersionUnavailableError(f"@{{{text}}}: the first commit of {home} is of {first.made_at}")
    return found


def _newest(home: Home, line: int, name: str) -> Commit:
    found = head_of(home, line)
    if found is None:
        raise VersionUnavailableError(
            f"@{name}: there is no commit yet in {home}; steps make them, and `petrel commit --message WHY` does"
        )
    return read_commit(home, found)
