"""What of a lake a copy has, and what each file must be: the names of its parts, and the hashes that it knows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lakehouse.home import Home
from lakehouse.materialise.published import published_files
from lakehouse.objects import OBJECTS, object_uri
from loaders.format.manifest import COMMON_METADATA, DATASET, MANIFEST, read_dataset, read_manifest
from loaders.stores.storage import Stat, Storage

DATASETS = "datasets"


@dataclass(frozen=True, slots=True)
class Known:
    """A file of a lake and what it must be.

    Attributes:
        name: Among the files of the lake.
        size: Bytes.
        sha256: Hash that the lake knows it by; None if it knows none.
    """

    name: str
    size: int
    sha256: str | None


def sha256_of_object(name: str) -> str | None:
    """Return the hash that a file below `objects/` is named by; None if it is no object."""
    sha256 = name.rpartition("/")[2]
    try:
        return sha256 if name == object_uri(sha256) else None
    except ValueError:
        return None


def known_objects(home: Home) -> Iterator[Known]:
    """Yield the objects of a lake, by name; what else lies there is none."""
    for each in home.files.list(OBJECTS):
        if (sha256 := sha256_of_object(each.name)) is not None:
            yield Known(each.name, each.size, sha256)


def published_folders(home: Home) -> Iterator[tuple[str, list[Stat]]]:
    """Yield (`<name>/<version id>`, its files) of every published version, by name; what is being written is none."""
    found: dict[str, list[Stat]] = {}
    for each in home.files.list(DATASETS):
        name, _, rest = each.name.removeprefix(f"{DATASETS}/").partition("/")
        version, _, file = rest.partition("/")
        if file and not version.startswith(".") and not name.startswith("."):
            found.setdefault(f"{name}/{version}", []).append(each)
    for folder, files in found.items():
        if any(each.name == f"{DATASETS}/{folder}/{DATASET}" for each in files):
            yield folder, files


def published_storage(home: Home, folder: str) -> Storage:
    """Return the storage of a published version, `<name>/<version id>`."""
    return published_files(home, f"{DATASETS}/{folder}")


def known_published(home: Home, folder: str) -> Iterator[Known]:
    """Yield the files of a published version, its `_dataset.json`, by which it is known, last.

    Raises:
        FormatError: If it is no published version, or its manifests are damaged.
    """
    version = published_storage(home, folder)
    for split, entry in sorted(read_dataset(version).splits.items()):
        files = published_storage(home, f"{folder}/{split}")
        for part in read_manifest(files).parts:
            yield Known(f"{split}/{part.name}", part.bytes, part.sha256)
        yield Known(f"{split}/{COMMON_METADATA}", files.size(COMMON_METADATA), None)
        yield Known(f"{split}/{MANIFEST}", files.size(MANIFEST), entry.manifest_sha256)
    yield Known(DATASET, version.size(DATASET), None)
