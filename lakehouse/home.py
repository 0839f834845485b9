"""Where a lake is: a folder of this machine, or a prefix in a bucket whose tables are read in a copy on this machine.

Everything that a lake has is reached through `Home.files`, one storage for both. Delta's readers and writers work on
folders: `Home.folder` is the lake itself, or the copy, which has what `lakehouse.verification.copies` has fetched. The
bucket alone says what the lake is; the copy can be removed at any time.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from lakehouse.branch_files import BranchFiles
from lakehouse.cache import cache_root
from lakehouse.config import StoreConfig
from lakehouse.files import write_whole
from lakehouse.lines import BRANCH, MAIN, line_folder
from loaders.stores.local import LocalFiles, local_folder
from loaders.stores.saying import without_secrets
from loaders.stores.schemes import open_storage
from loaders.stores.storage import Storage, StorageOptions

ORIGIN = "_origin.json"
"""In the folder of a copy: the address of the lake that it is a copy of, and how that is reached."""


@dataclass(frozen=True, slots=True)
class Home:
    """Where a lake is. Small, and travels to other processes.

    Attributes:
        address: Its folder, or its URL.
        folder: Of this machine: the lake itself, or the copy of its tables.
        stores: How buckets are reached, also those that linked files are in.
        fetched_bytes: Of a lake in a bucket: a version of a table with more bytes is not fetched into the copy, since
            whoever reads it reads the bucket. None fetches all.
        main: Of a branch, or of a lake as it was: the lake itself. None: this is it.
        line: The line that is written here; see `lakehouse.lines`.
        branch: What people call that line.
        pins: Table -> number of the version that is read here as long as the line has no table of its own.
        read_only: What people called the commit that is looked at; "": this may be written.
    """

    address: str
    folder: Path
    stores: tuple[StoreConfig, ...] = ()
    fetched_bytes: int | None = None
    main: Home | None = None
    line: int = MAIN
    branch: str = "main"
    pins: tuple[tuple[str, int], ...] = ()
    read_only: str = ""

    @property
    def shared(self) -> Home:
        """The lake that this is a branch of, which holds the objects and the published datasets; or this lake."""
        return self.main or self

    @property
    def is_local(self) -> bool:
        """Whether the lake is a folder of this machine."""
        return "://" not in self.address

    @property
    def files(self) -> Storage:
        """All files of the lake, by their names below it; one storage for all callers of a process."""
        own = storage_at(self.address, self.stores)
        return own if self.main is None or self.line == self.main.line else BranchFiles(own, self.main.files)

    @property
    def store(self) -> StoreConfig:
        """How the lake's own bucket is reached."""
        return store_of(self.address, self.stores)

    def __str__(self) -> str:
        return self.address


Root = Home | Path | str
"""A lake: its home, or the folder of one or of its copy."""


def home_of(root: Root) -> Home:
    """Return the home of a lake.

    Args:
        root: The home itself; the folder of a lake or of the copy of one; the URL of one whose bucket needs no
            settings, of which this machine has no copy.
    """
    if isinstance(root, Home):
        return root
    folder = local_folder(root)
    return Home(str(root), Path(os.devnull)) if folder is None else _home_in(str(folder), os.getpid())


def forget_homes() -> None:
    """Have folders looked at again: what they are the copy of, or a branch of, is written there now."""
    _home_in.cache_clear()


def table_home(folder: Path) -> tuple[Home, str]:
    """Return the home of the lake that a table's folder belongs to, and that folder's name among its files."""
    root = folder.parents[2]  # tables/<layer>/<name>
    return home_of(root), folder.relative_to(root).as_posix()


def copy_folder(address: str, lake_id: str, copies: str) -> Path:
    """Return the folder for the copy of a lake in a bucket.

    Args:
        address: Its URL.
        lake_id: What tells it from other lakes that were at this address before.
        copies: Folder of the copies, from the configuration; "" is Petrel's cache.
    """
    name = hashlib.sha256(address.encode()).hexdigest()[:16]
    return (Path(copies) if copies else cache_root() / "lakes") / name / lake_id


def keep_origin(home: Home) -> None:
    """Make the folder of a copy, and note there what it is a copy of."""
    home.folder.mkdir(parents=True, exist_ok=True)
    stores = [asdict(each) for each in home.stores]
    write_whole(home.folder / ORIGIN, json.dumps({"address": home.address, "stores": stores}) + "\n")
    forget_homes()


def storage_at(address: str, stores: Iterable[StoreConfig] = ()) -> Storage:
    """Return the storage of a folder or URL, reached as the configuration says; one for all callers of a process."""
    return _storage_at(address, tuple(stores), os.getpid())


def store_of(url: str, stores: Iterable[StoreConfig]) -> StoreConfig:
    """Return the settings for a URL: those whose own `url` is the longest beginning of it, else the defaults."""
    fitting = [each for each in stores if _is_below(url, each.url)]
    return max(fitting, key=lambda each: len(each.url), default=StoreConfig(url=""))


def is_one_bucket(url: str, other: str, stores: Iterable[StoreConfig]) -> bool:
    """Say whether two URLs are in one bucket that is reached in one way: it copies from the one to the other."""
    stores = tuple(stores)
    first, second = (store_of(each, stores) for each in (url, other))
    return _bucket(url) == _bucket(other) and options_of(first) == options_of(second)


def options_of(store: StoreConfig) -> StorageOptions:
    """Return the settings of a store as storages take them."""
    stated = {
        "endpoint_override": store.endpoint, "region": store.region, "anonymous": store.anonymous,
        "profile": store.profile, "keys_from": store.keys_from, "account_name": store.account,
    }  # fmt: skip
    return StorageOptions(
        deadline_s=store.deadline_s, tries=store.tries, parallel=store.parallel,
        options={name: value for name, value in stated.items() if value},
    )  # fmt: skip


@lru_cache(maxsize=32)
def _storage_at(address: str, stores: tuple[StoreConfig, ...], process: int) -> Storage:
    # By process: a client that was made before a fork is of no use after it.
    folder = local_folder(address)
    if folder is not None:
        return LocalFiles(folder, kept_open=0)
    return open_storage(address, options_of(store_of(address, stores)))


@lru_cache(maxsize=256)
def _home_in(folder: str, process: int) -> Home:
    try:
        kept = json.loads((Path(folder) / ORIGIN).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return _branch_in(folder) or Home(folder, Path(folder))
    return Home(kept["address"], Path(folder), tuple(StoreConfig(**each) for each in kept["stores"]))


def _branch_in(folder: str) -> Home | None:
    try:
        kept = json.loads((Path(folder) / BRANCH).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    return branch_home(home_of(Path(folder).parents[1]), kept)


def branch_home(main: Home, kept: Mapping[str, Any]) -> Home:
    """Return the home of a branch.

    Args:
        main: The lake.
        kept: What its `_branch.json` says.
    """
    name = line_folder(int(kept["line"]))
    pins = tuple(sorted((str(table), int(number)) for table, number in kept["tables"].items()))
    return Home(
        f"{main.address}/{name}", main.folder / name, main.stores, main.fetched_bytes,
        main=main, line=int(kept["line"]), branch=str(kept["name"]), pins=pins,
    )  # fmt: skip


def _bucket(url: str) -> tuple[str, str]:
    scheme, _, rest = url.partition("://")
    return {"s3a": "s3", "gcs": "gs"}.get(scheme, scheme), rest.partition("/")[0]


def _is_below(url: str, beginning: str) -> bool:
    return url.startswith(beginning) and (
        beginning.endswith("/") or len(url) == len(beginning) or url[len(beginning)] == "/"
    )


def named_address(text: str) -> str:
    """Return a URL as it is kept and shown: without a slash at its end."""
    return without_secrets(text).rstrip("/")
