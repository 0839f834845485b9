"""What points at commits: the newest of each line, which moves, and tags, which do not.

`_refs/heads/<line>.json` moves only from the commit that the mover has seen, so that of two writers at once one goes
again. `_refs/branches/<name>.json` says which line a branch is; `_refs/tags/<name>.json` is a tag.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from lakehouse.errors import ConfigError, TableError, VersionUnavailableError
from lakehouse.home import Home
from lakehouse.lake import Lake
from lakehouse.lines import MAIN
from lakehouse.tables.locks import writer_lock
from lakehouse.verification.places import line_home
from loaders.errors import ChangedFileError
from loaders.stores.storage import Storage

REFS = "_refs"
BRANCHES, TAGS, HEADS, DELETED = (f"{REFS}/{each}" for each in ("branches", "tags", "heads", "deleted"))
NAME = re.compile(r"(?=.{1,64}\Z)[A-Za-z][A-Za-z0-9_]*(?:[.-][A-Za-z0-9_]+)*")
"""As `name@commit` in SQL reads it: a dot or dash stands between letters or digits, and not at the end."""
MAIN_BRANCH = "main"
HEAD = "HEAD"
"""Names the newest commit of what is open."""


def head_of(home: Home, line: int) -> str | None:
    """Return the id of the newest commit of a line; None if it has none."""
    found = _read(home.shared.files, f"{HEADS}/{line}.json")
    return None if found is None else str(found["commit"])


def move_head(lake: Lake, line: int, before: str | None, commit_id: str) -> bool:
    """Have a line point at a commit, if it points at `before` still; say whether it does.

    Raises:
        VersionUnavailableError: If the line is a branch that was deleted meanwhile.
    """
    if before is not None and line in unfreed_lines(lake.home):
        raise VersionUnavailableError(
            f"branch {lake.home.branch} of {lake.home.shared} was deleted while it was written to: nothing finds what "
            "was written now, and `petrel maintain` will remove it; write it to another branch"
        )
    files, name = lake.home.shared.files, f"{HEADS}/{line}.json"
    data = (json.dumps({"commit": commit_id}) + "\n").encode()
    if lake.home.is_local or lake.home.store.single_writer:
        with writer_lock(lake.locks, f"head-{line}", timeout_s=lake.config.engine.lock_timeout_s):
            if head_of(lake.home, line) != before:
                return False
            files.put(name, data)
            return True
    try:
        if before is None:
            files.put_if_absent(name, data)
            return True
        found, told = files.read_told(name)
        if json.loads(found)["commit"] != before:
            return False
        files.put_if_same(name, data, told.version)
    except (FileExistsError, ChangedFileError, FileNotFoundError):
        return False
    return True


def tags(home: Home) -> dict[str, dict[str, Any]]:
    """Return tag -> what is recorded of it (commit, message, author, made_at), by name."""
    return _all(home, TAGS)


def branches(home: Home) -> dict[str, int]:
    """Return branch -> line, main first, then by name."""
    return {MAIN_BRANCH: MAIN} | {name: int(each["line"]) for name, each in _all(home, BRANCHES).items()}


def deleted_lines(home: Home) -> dict[int, dict[str, Any]]:
    """Return line -> what is recorded of it (name, at), of deleted branches whose tables are there still."""
    return {line: told for line, told in unfreed_lines(home).items() if "tables" not in told}


def unfreed_lines(home: Home) -> dict[int, dict[str, Any]]:
    """Return the same of deleted branches of which any file is there still; those with `tables` are being freed."""
    alive = branches(home).values()
    found = {int(name): told for name, told in _all(home, DELETED).items() if not told.get("freed")}
    return {line: told for line, told in found.items() if line not in alive}


def began_at(home: Home, line: int) -> dict[str, int]:
    """Return table -> number of the version that a branch began at; of one that was deleted and freed too.

    Raises:
        VersionUnavailableError: If nothing is known of it any more.
    """
    told = _read(home.shared.files, f"{DELETED}/{line}.json")
    if told is not None and "tables" in told:
        return {str(table): int(number) for table, number in told["tables"].items()}
    return dict(line_home(home, line).pins)


def keep_ref(home: Home, folder: str, name: str, record: Mapping[str, object]) -> None:
    """Write a tag or a branch.

    Raises:
        ConfigError: If there is one of this name, or it cannot be one.
    """
    check_name(home, folder, name)
    try:
        home.shared.files.put_if_absent(f"{folder}/{name}.json", (json.dumps(dict(record)) + "\n").encode())
    except FileExistsError as error:
        raise _taken(folder, name) from error


def check_name(home: Home, folder: str, name: str) -> None:
    """Check that a tag or branch may be called so; raises like `keep_ref`."""
    what = "tag" if folder == TAGS else "branch"
    if not NAME.fullmatch(name) or re.fullmatch(r"[0-9a-f]{6,32}", name):
        raise ConfigError(
            f"{what} {name!r}: expected a letter, then up to 63 letters, digits and _, with single dots or dashes "
            "between them; and not 6 or more hex digits, as ids of commits begin"
        )
    if name == MAIN_BRANCH:
        raise ConfigError(f"{what} main: main is the branch that every lake has; take another name")
    if name == HEAD:
        raise ConfigError(f"{what} HEAD: @HEAD is the newest commit of what is open; take another name")
    if name in (branches(home) if what == "tag" else tags(home)):
        other = "branch" if what == "tag" else "tag"
        raise ConfigError(f"{what} {name}: there is a {other} of this name, and @{name} could be either; take another")
    if name in _all(home, folder):
        raise _taken(folder, name)


def _taken(folder: str, name: str) -> ConfigError:
    what = "tag" if folder == TAGS else "branch"
    return ConfigError(
        f"{what} {name}: there is one of this name; take another, or delete it first: petrel {what} --delete {name}"
    )


def delete_ref(home: Home, folder: str, name: str) -> None:
    """Delete a tag or a branch; nothing happens if there is none."""
    home.shared.files.delete(f"{folder}/{name}.json")


def _all(home: Home, folder: str) -> dict[str, dict[str, Any]]:
    found = {}
    for each in home.shared.files.list(folder):
        record = _read(home.shared.files, each.name)
        if record is not None:
            found[each.name.removeprefix(f"{folder}/").removesuffix(".json")] = record
    return found


def _read(files: Storage, name: str) -> dict[str, Any] | None:
    try:
        return dict(json.loads(files.read_whole(name)))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise TableError(f"{files.root}/{name}: is damaged ({error}); put it back from a copy of the lake") from error
