"""What a folder of Parquet holds: its files, told apart by their names."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

COMMON_METADATA, METADATA = "_common_metadata", "_metadata"
DATASET, DELTA, _MANIFEST = "_dataset.json", "_delta_log", "_manifest.json"
_KEPT = (COMMON_METADATA, METADATA, _MANIFEST, DATASET, DELTA)

_PARQUET = re.compile(r"\.(parquet|parq|pqt?)(\.[a-z0-9]{1,8})?$", re.IGNORECASE)
_OTHER = re.compile(
    r"\.(json|jsonl|txt|csv|tsv|md|rst|html?|xml|ya?ml|toml|ini|log|py|ipynb|png|jpe?g|gif|svg|pdf|zip|tar|gz|npy|npz|"
    r"pkl|pickle|orc|avro|arrow|feather|tmp|bak|swp|lock|sha256|md5)$",
    re.IGNORECASE,
)
_PARTITION = re.compile(r"[^=]+=[^=]*")


@dataclass(frozen=True, slots=True)
class Entry:
    """A file.

    Attributes:
        name: Its path below the root, steps separated by `/`.
        size: Bytes.
        version: Differs for another content of the same name, as far as the storage tells.
    """

    name: str
    size: int
    version: str


@dataclass(frozen=True, slots=True)
class Listing:
    """What was found.

    Attributes:
        root: The folder that names are relative to: an absolute path, or a URL without user and password.
        entries: Files that may hold rows, sorted by name; files that were named one by one in the order given, as often
            as they were named.
        sidecars: The files of `_KEPT` that lie in the root, by name.
        location: The same, as it is opened.
        is_local: Whether the root is a folder of this machine.
        is_list: Whether a list was given.
        is_named: Whether files were named one by one, in a list or alone.
    """

    root: str
    entries: tuple[Entry, ...]
    sidecars: Mapping[str, Entry]
    location: str = field(default="", repr=False)
    is_local: bool = False
    is_list: bool = False
    is_named: bool = False


def sorted_out(root: str, found: Iterable[Entry]) -> Listing:
    """Make a listing of everything that lies in a folder."""
    entries: list[Entry] = []
    sidecars: dict[str, Entry] = {}
    for entry in found:
        *folders, last = entry.name.split("/")
        if entry.name in _KEPT or (folders and folders[0] == DELTA):
            sidecars.setdefault(entry.name.split("/", 1)[0], entry)
        elif not any(map(is_ignored_folder, folders)) and not is_ignored_file(last):
            entries.append(entry)
    return Listing(root, tuple(sorted(entries, key=lambda entry: entry.name)), sidecars)


def named(found: Sequence[Entry]) -> Listing:
    """Make a listing of files that were named one by one by paths or URLs; their common folder is its root."""
    steps = [_without_partitions(posixpath.dirname(entry.name)).split("/") for entry in found]
    common = [step[0] for step in takewhile(lambda step: len(set(step)) == 1, zip(*steps, strict=False))]
    root = "/".join(common)
    entries = [Entry(entry.name[len(root) + 1 :], entry.size, entry.version) for entry in found]
    return Listing(root or "/", tuple(entries), {}, is_named=True)


def _without_partitions(folder: str) -> str:
    """Return the folder above the steps `name=value` at the end of a path."""
    while _PARTITION.fullmatch(posixpath.basename(folder)):
        folder = posixpath.dirname(folder)
    return folder


def is_ignored_folder(step: str) -> bool:
    """Whether a folder of this name holds no rows by convention, as for Spark and Petastorm."""
    return step.startswith(("_", ".")) and "=" not in step


def is_ignored_file(step: str) -> bool:
    """Whether a file of this name holds no rows by convention."""
    return step.startswith(("_", ".")) or step.endswith((".crc", "_$folder$"))


def is_called_parquet(name: str) -> bool | None:
    """Whether a file is called a Parquet file (`a.parquet`) or something else (`a.json`); None: neither."""
    if _PARQUET.search(name):
        return True
    return False if _OTHER.search(name) else None
