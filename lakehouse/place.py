"""Where a lake is: how a folder is known to be one, what stands in its place, and how it is made.

A lake has the file `_lake.json` in its folder, written last when it is made: it names the tables and what they were
defined as. Without it a folder is none, whatever else is in it; with it a lost table is noticed.
"""

from __future__ import annotations

import difflib
import json
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from lakehouse.errors import ConfigError, TableError, TableNotFoundError
from lakehouse.files import write_whole
from schemas.canonical import content_id

if TYPE_CHECKING:
    from schemas.model import Table

MARKER = "_lake.json"
FORMAT = 1
UNFINISHED = frozenset({"_tmp", "_locks", "_heads", "tables"})
"""What is in the folder of a lake that was killed while it was made; `_tmp` comes first."""
NOTHING = frozenset({".DS_Store", ".gitkeep", "lost+found"})
"""What a folder for a new lake may have: systems put it there by themselves."""
UNUSABLE = frozenset("[]%#?")
"""delta-rs 1.6.6 reads a path as part of a URL: brackets make it panic, %20 is a blank, the rest after # is lost."""


def lake_root(text: str) -> Path:
    """Return the folder that `lake.root` names, absolute; it need not exist.

    Raises:
        ConfigError: If it is no local folder, or one that the Delta library cannot work in.
    """
    if "://" in text or not text:
        raise ConfigError(f"lake.root = {text!r}: only local folders so far; give a path")
    root = Path(text).absolute()
    unusable = sorted(UNUSABLE.intersection(str(root)))
    if unusable:
        raise ConfigError(
            f"lake.root = {root}: has {' '.join(unusable)} in it, which the Delta library takes for parts of a URL; "
            "give a folder whose whole path is free of [ ] % # ?"
        )
    return root


def is_lake(folder: Path) -> bool:
    """Say whether there is a whole lake in that folder."""
    return (folder / MARKER).is_file()


def require_lake(root: Path) -> None:
    """Check that there is a whole lake with today's tables at `root`; costs one small file.

    Raises:
        TableNotFoundError: If there is none; the message names the nearest lake beside it.
        TableError: If it was made by another version of Petrel.
    """
    try:
        made = json.loads((root / MARKER).read_text(encoding="utf-8"))
        defined = dict(made["tables"])
    except (FileNotFoundError, NotADirectoryError):
        raise TableNotFoundError(
            f"no lake at {root}: {_found_instead(root)}{similar_lake(root)}; check --lake, or make a lake there with: "
            f"petrel init --lake {shlex.quote(str(root))}"
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TableError(f"{root / MARKER}: cannot be read ({error}); put it back from a copy of the lake") from error
    today = _definitions()
    others = sorted(name for name in today.keys() | defined.keys() if today.get(name) != defined.get(name))
    if others or made.get("format") != FORMAT:
        raise TableError(
            f"the lake at {root} was made by another version of Petrel: {', '.join(others) or 'its format'} differ; "
            "use that version, or land the sources into a new lake"
        )


def check_place(root: Path) -> None:
    """Check that a lake may be made at `root`: the folder is missing, empty, or a lake that was not finished.

    Raises:
        ConfigError: If it holds other things, or lies inside a lake.
    """
    for parent in {*root.parents, *root.resolve().parents}:
        if is_lake(parent):
            raise ConfigError(f"lake.root = {root}: lies inside the lake {parent}; give a folder outside it")
    others = sorted(_entries(root) - NOTHING)
    unfinished = "_tmp" in others and all(name in UNFINISHED or name.startswith(MARKER) for name in others)
    if others and not unfinished:
        shown = ", ".join(others[:3]) + (", ..." if len(others) > 3 else "")
        raise ConfigError(
            f"lake.root = {root}: the folder holds other things ({shown}) and is no lake{similar_lake(root)}; a lake "
            "gets a folder of its own, give a new or an empty one"
        )


def keep_marker(root: Path) -> None:
    """Write `_lake.json`: from now on the folder is a lake."""
    made = {"format": FORMAT, "tables": _definitions()}
    write_whole(root / MARKER, json.dumps(made, indent=1) + "\n")


SHORT = 2
"""Letters of a name that any other of its length is near to, `L2` to `L1`: no slip can be told."""


def similar_lake(root: Path, *, made: bool = False) -> str:
    """Return `; did you mean ...?` for a lake that may have been meant: around, below or beside `root`; else ``.

    Beside a lake that was `made` just now under a name of a letter or two, no other is meant.
    """
    around = [parent for parent in root.parents if is_lake(parent)]
    below = [folder for folder in _folders(root) if is_lake(folder)]
    beside = {folder.name: folder for folder in _folders(root.parent) if folder != root and is_lake(folder)}
    near = [beside[name] for name in difflib.get_close_matches(root.name, beside, n=1, cutoff=0.5)]
    # The only one is worth naming, whatever it is called.
    only = list(beside.values()) if len(beside) == 1 else []
    if made and len(root.name) <= SHORT:
        near, only = [], []
    found = next(iter([*around, *below, *near, *only]), None)
    return "" if found is None else f"; did you mean the lake `{found}`?"


def _found_instead(root: Path) -> str:
    if not root.exists():
        return "no such folder"
    if not root.is_dir():
        return "a file, not a folder"
    names = _entries(root) - NOTHING
    if not names:
        return "the folder is empty"
    if {"tables", "_runs"} <= names:
        return f"the folder has tables and no {MARKER}, as lakes of earlier versions"
    return "the lake was not finished" if "_tmp" in names and names <= UNFINISHED else "the folder holds other things"


def _definitions() -> dict[str, str]:
    from schemas.tables import TABLES

    return {table.name: _definition(table) for table in TABLES}


def _definition(table: Table) -> str:
    columns = [[column.name, str(column.type), column.null is None] for column in table.columns]
    return content_id([columns, list(table.key), dict(table.checks)], digits=16)


def _entries(folder: Path) -> set[str]:
    try:
        return set(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return set()
    except OSError as error:
        raise ConfigError(f"lake.root = {folder}: cannot be listed ({error.strerror})") from error


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(each for each in folder.iterdir() if each.is_dir())
    except OSError:
        return []
