"""How a folder or prefix is known to be a lake, what stands in its place, and how it is made.

A lake has the file `_lake.json` in its folder, written last when it is made: it names the tables and what they were
defined as. Without it a folder is none, whatever else is in it; with it a lost table is noticed.
"""

from __future__ import annotations

import difflib
import itertools
import json
import os
import shlex
import uuid
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakehouse.config import Config, LakeConfig
from lakehouse.errors import ConfigError, TableError, TableNotFoundError
from lakehouse.home import Home, Root, copy_folder, home_of, keep_origin, named_address, storage_at
from loaders.errors import LoaderError
from loaders.stores.local import local_folder
from schemas.canonical import content_id

if TYPE_CHECKING:
    from schemas.model import Table

MARKER = "_lake.json"
FORMAT = 1
MAKING = "_tmp/making"
"""In the bucket of a lake while it is made."""
COPYING = "_tmp/copying"
"""In the place of a lake that is being copied: which lake, and the id that the copy will have."""
UNFINISHED = frozenset({"_tmp", "_locks", "_heads", "tables"})
"""What is in the folder of a lake that was killed while it was made; `_tmp` comes first."""
NOTHING = frozenset({".DS_Store", ".gitkeep", "lost+found"})
"""What a folder for a new lake may have: systems put it there by themselves."""
NO_LAKE = "none"
"""Name of the copy's folder where there is nothing to copy yet; no id of a lake."""
READ_ONLY = frozenset({"http", "https", "hdfs", "viewfs"})
"""Schemes of storages that lakes can link to and cannot be in."""
LOOKED_AT = 1000
"""Objects by which a prefix that is no lake is judged."""
UNUSABLE = frozenset("[]%#?")
"""delta-rs 1.6.6 reads a path as part of a URL: brackets make it panic, %20 is a blank, the rest after # is lost."""


def find_home(config: Config) -> Home:
    """Return where the lake is that `lake.root` names, or the branch or commit of it that `lake.branch` names.

    It need not exist. A bucket is asked for its `_lake.json`.

    Raises:
        VersionUnavailableError: If there is no such branch or commit.
        ConfigError: If it is no folder that the Delta library can work in, and no URL of a storage.
        TableError: If what tells a lake from others there is damaged.
        StorageError: If the bucket refuses, or does not answer.
    """
    home = _found(config)
    if config.lake.branch == home.branch:
        return home
    from lakehouse.commits.checkout import checked_out

    return checked_out(home, config.lake.branch)


def _found(config: Config) -> Home:
    text = config.lake.root
    folder = local_folder(text) if text else None
    if folder is not None:
        return replace(home_of(_usable(folder)), stores=tuple(config.stores.values()))
    if not text:
        raise ConfigError("lake.root = '': give a folder, or the URL of a lake in a bucket")
    scheme = text.partition("://")[0].lower()
    if scheme in READ_ONLY:
        raise ConfigError(f"lake.root = {text!r}: {scheme}:// is only read from; give a folder, or a URL in a bucket")
    return _copied(text, config, _lake_id(text, config))


def located(root: Root) -> Home:
    """Return the home of a lake for a reader: of a URL, the copy of this machine is found or begun.

    Raises:
        TableNotFoundError: If a bucket has no lake there.
    """
    if isinstance(root, Home):
        home = root
    elif local_folder(root) is not None:
        return home_of(Path(local_folder(root) or root).absolute())
    else:
        home = find_home(Config(lake=LakeConfig(root=str(root))))
    if not is_lake(home):
        require_lake(home)
    return home


def new_home(config: Config) -> Home:
    """Return the home of a lake that is about to be made at `lake.root`; raises like `find_home`."""
    home = find_home(config)
    return home if home.is_local else _copied(config.lake.root, config, uuid.uuid4().hex)


def _usable(folder: Path) -> Path:
    root = folder.absolute()
    unusable = sorted(UNUSABLE.intersection(str(root)))
    if unusable:
        raise ConfigError(
            f"lake.root = {root}: has {' '.join(unusable)} in it, which the Delta library takes for parts of a URL; "
            "give a folder whose whole path is free of [ ] % # ?"
        )
    return root


def _copied(url: str, config: Config, lake_id: str | None) -> Home:
    address = named_address(url)
    home = Home(address, copy_folder(address, lake_id or NO_LAKE, config.lake.copies), tuple(config.stores.values()))
    if lake_id is not None:
        keep_origin(home)
    return home


def _lake_id(url: str, config: Config) -> str | None:
    try:
        storage = storage_at(named_address(url), config.stores.values())
        return str(json.loads(storage.read_whole(MARKER))["id"])
    except FileNotFoundError:
        return None
    except LoaderError as error:
        if isinstance(error, OSError):
            raise
        raise ConfigError(f"lake.root = {named_address(url)}: {error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise TableError(f"{url}/{MARKER}: cannot be read ({error}); put it back from a copy of the lake") from error


def is_lake(root: Root) -> bool:
    """Say whether there is a whole lake."""
    home = home_of(root)
    home = home.shared
    if home.is_local:
        return (home.folder / MARKER).is_file()
    return home.folder.name != NO_LAKE


def require_lake(root: Root) -> None:
    """Check that there is a whole lake with today's tables; costs one small file.

    Raises:
        TableNotFoundError: If there is none; the message names the nearest lake beside it.
        TableError: If it was made by another version of Petrel.
    """
    home = home_of(root)
    try:
        made = json.loads(home.files.read_whole(MARKER))
        defined = dict(made["tables"])
    except (FileNotFoundError, NotADirectoryError):
        raise TableNotFoundError(
            f"no lake at {home}: {_found_instead(home)}{similar_lake(home)}; check --lake, or make a lake there with: "
            f"petrel init --lake {shlex.quote(home.address)}"
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TableError(f"{home}/{MARKER}: cannot be read ({error}); put it back from a copy of the lake") from error
    today = _definitions()
    others = sorted(name for name in today.keys() | defined.keys() if today.get(name) != defined.get(name))
    if others or made.get("format") != FORMAT:
        raise TableError(
            f"the lake at {home} was made by another version of Petrel: {', '.join(others) or 'its format'} differ; "
            "use that version, or land the sources into a new lake"
        )


def check_place(root: Root) -> None:
    """Check that a lake may be made here: the place is missing, empty, or a lake that was not finished.

    Raises:
        ConfigError: If it holds other things, or lies inside a lake.
    """
    home = home_of(root)
    if home.is_local:
        for parent in {*home.folder.parents, *home.folder.resolve().parents}:
            if is_lake(parent):
                raise ConfigError(f"lake.root = {home}: lies inside the lake {parent}; give a folder outside it")
    others = sorted(_entries(home) - NOTHING)
    if others and _is_copied_to(home):
        raise ConfigError(
            f"lake.root = {home}: a copy of a lake was not finished there; run the same `petrel copy-lake` again, or "
            "remove what is there"
        )
    unfinished = "_tmp" in others and all(name in UNFINISHED or name.startswith(MARKER) for name in others)
    if others and not unfinished:
        shown = ", ".join(others[:3]) + (", ..." if len(others) > 3 else "")
        raise ConfigError(
            f"lake.root = {home}: the folder holds other things ({shown}) and is no lake{similar_lake(home)}; a lake "
            "gets a folder of its own, give a new or an empty one"
        )


def keep_marker(root: Root) -> None:
    """Write `_lake.json`: from now on there is a lake."""
    home = home_of(root)
    lake_id = uuid.uuid4().hex if home.is_local else home.folder.name
    made: dict[str, Any] = {"format": FORMAT, "id": lake_id, "tables": _definitions()}
    home.files.put(MARKER, (json.dumps(made, indent=1) + "\n").encode())


SHORT = 2
"""Letters of a name that any other of its length is near to, `L2` to `L1`: no slip can be told."""


def similar_lake(home: Root, *, made: bool = False) -> str:
    """Return `; did you mean ...?` for a lake that may have been meant: around, below or beside this one; else ``.

    Beside a lake that was `made` just now under a name of a letter or two, no other is meant. Buckets are not searched.
    """
    home = home_of(home)
    if not home.is_local:
        return ""
    root = home.folder
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


def _found_instead(home: Home) -> str:
    if home.is_local and not home.folder.exists():
        return "no such folder"
    if home.is_local and not home.folder.is_dir():
        return "a file, not a folder"
    names = _entries(home) - NOTHING
    if not names:
        return "the folder is empty" if home.is_local else "there is nothing at this address"
    if _is_copied_to(home):
        return "a copy of a lake was not finished there; run the same `petrel copy-lake` again to finish it"
    if {"tables", "_runs"} <= names:
        return f"the folder has tables and no {MARKER}, as lakes of earlier versions"
    return "the lake was not finished" if "_tmp" in names and names <= UNFINISHED else "the folder holds other things"


def _is_copied_to(home: Home) -> bool:
    return any(each.name == COPYING for each in home.files.list(COPYING.partition("/")[0]))


def _definitions() -> dict[str, str]:
    from schemas.tables import TABLES

    return {table.name: _definition(table) for table in TABLES}


def _definition(table: Table) -> str:
    columns = [[column.name, str(column.type), column.null is None] for column in table.columns]
    return content_id([columns, list(table.key), dict(table.checks)], digits=16)


def _entries(home: Home) -> set[str]:
    """Return the names in the folder of a lake; in a bucket, of the first few objects."""
    if not home.is_local:
        return {each.name.partition("/")[0] for each in itertools.islice(home.files.list(), LOOKED_AT)}
    try:
        return set(os.listdir(home.folder))
    except (FileNotFoundError, NotADirectoryError):
        return set()
    except OSError as error:
        raise ConfigError(f"lake.root = {home}: cannot be listed ({error.strerror})") from error


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(each for each in folder.iterdir() if each.is_dir())
    except OSError:
        return []
